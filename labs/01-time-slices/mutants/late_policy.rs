//! The policy comes after the start, so the first one that has it keeps the others from it.

use std::{io, process::ExitCode};

use container::scheduling::round_robin;
use solution::pin;
use time_slices::{Answer, Policy, Start};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn line_up(cpu: usize, policy: Policy, start: &Start) -> io::Result<()> {
    pin(cpu)?;
    start.wait()?;
    if policy == Policy::RoundRobin {
        round_robin(std::process::id())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    time_slices::program(&Answer { line_up, ..solution::ANSWER })
}
