//! Nothing counts but what a real processor has run.

use std::process::ExitCode;

use verdict::{Answer, Carrier, Claim, Evidence, Judgement};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    if solution::carrier(&evidence.signs) != Carrier::Hardware {
        return Judgement::NotMeasured;
    }
    solution::judge(claim, evidence)
}

fn main() -> ExitCode {
    verdict::program(&Answer { judge, ..solution::ANSWER })
}
