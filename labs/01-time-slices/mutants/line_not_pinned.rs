//! `pin` works, but none of the ten calls it.
//!
//! Not in the nest: it has one processor, to which all are pinned.

use std::{io, process::ExitCode};

use container::scheduling::round_robin;
use time_slices::{Answer, Policy, Start};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn line_up(cpu: usize, policy: Policy, start: &Start) -> io::Result<()> {
    let _ = cpu;
    if policy == Policy::RoundRobin {
        round_robin(std::process::id())?;
    }
    start.wait()
}

fn main() -> ExitCode {
    time_slices::program(&Answer { line_up, ..solution::ANSWER })
}
