//! A probe that shows the host supports every claim about it.

use std::process::ExitCode;

use verdict::{Answer, Claim, Evidence, Judgement};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    let mut claim = claim.clone();
    if let Claim::Shows { exposed, .. } = &mut claim {
        *exposed = true;
    }
    solution::judge(&claim, evidence)
}

fn main() -> ExitCode {
    verdict::program(&Answer { judge, ..solution::ANSWER })
}
