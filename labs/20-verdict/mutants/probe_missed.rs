//! A container is said to have a kernel of its own.

use std::process::ExitCode;

use report::Probe;
use verdict::{Answer, VisibleState};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn probes(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    let mut probes = solution::probes(sandbox, inside, host);
    probes[0].exposed = false;
    probes
}

fn main() -> ExitCode {
    verdict::program(&Answer { probes, ..solution::ANSWER })
}
