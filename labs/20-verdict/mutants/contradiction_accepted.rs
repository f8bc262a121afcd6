//! Where there are data, the textbook is right.

use std::process::ExitCode;

use report::Probe;
use solution::{carrier, compare};
use verdict::{Answer, Carrier, Claim, Evidence, Judgement, Relation};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    let holds = match claim {
        Claim::Compares { hardware: true, .. } if carrier(&evidence.signs) != Carrier::Hardware => {
            None
        }
        Claim::Compares { metric, sandbox, base, relation, factor, .. } => {
            compare(&evidence.records, metric, sandbox, base).map(|(found, ratio)| {
                let size = if ratio < 1.0 { 1.0 / ratio } else { ratio };
                found == *relation && (found == Relation::Same || size >= *factor)
            })
        }
        Claim::Shows { probe, sandbox, exposed } => {
            let named = |one: &&Probe| one.probe == *probe && one.sandbox == *sandbox;
            evidence.records.probes.iter().find(named).map(|one| one.exposed == *exposed)
        }
    };
    match holds {
        Some(true) => Judgement::Supported,
        Some(false) => Judgement::Supported,
        None => Judgement::NotMeasured,
    }
}

fn main() -> ExitCode {
    verdict::program(&Answer { judge, ..solution::ANSWER })
}
