//! Whatever the claim compares, the microVM is compared with the container.

use std::process::ExitCode;

use verdict::{Answer, Claim, Evidence, Judgement};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    let mut claim = claim.clone();
    if let Claim::Compares { sandbox, base, .. } = &mut claim {
        (*sandbox, *base) = ("microvm".into(), "container".into());
    }
    solution::judge(&claim, evidence)
}

fn main() -> ExitCode {
    verdict::program(&Answer { judge, ..solution::ANSWER })
}
