//! Whatever is seen inside is taken for the host's.

use std::process::ExitCode;

use report::Probe;
use solution::{carrier, compare};
use verdict::{Answer, Carrier, Claim, Evidence, Judgement, Relation, VisibleState};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn probes(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    let probe = |probe: &str, inside: &Option<String>, host: &Option<String>| Probe {
        probe: probe.into(),
        sandbox: sandbox.into(),
        seen: inside.clone().unwrap_or_else(|| "nothing".into()),
        exposed: inside.is_some() && host.is_some(),
    };
    vec![
        probe("kernel", &inside.kernel, &host.kernel),
        probe("name", &inside.name, &host.name),
        probe("launcher", &inside.launcher, &host.launcher),
        probe("marker", &inside.marker, &host.marker),
    ]
}

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
        Some(false) => Judgement::Contradicted,
        None => Judgement::NotMeasured,
    }
}

fn main() -> ExitCode {
    verdict::program(&Answer { probes, judge, ..solution::ANSWER })
}
