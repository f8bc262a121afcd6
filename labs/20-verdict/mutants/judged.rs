//! Twice as much is taken for two times more: three times as much.

use std::process::ExitCode;

use verdict::{Answer, Claim, Evidence, Judgement, Relation};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    let mut claim = claim.clone();
    if let Claim::Compares { relation: Relation::More, factor, .. } = &mut claim {
        *factor += 1.0;
    }
    solution::judge(&claim, evidence)
}

fn main() -> ExitCode {
    verdict::program(&Answer { judge, ..solution::ANSWER })
}
