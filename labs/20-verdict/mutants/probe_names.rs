//! All probes say that they were made in a container.

use std::process::ExitCode;

use report::Probe;
use verdict::{Answer, VisibleState};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn probes(_sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    solution::probes("container", inside, host)
}

fn main() -> ExitCode {
    verdict::program(&Answer { probes, ..solution::ANSWER })
}
