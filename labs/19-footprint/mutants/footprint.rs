//! Divided by the number of processes, as if it were an average.

use std::{io, process::ExitCode};

use footprint::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn footprint(launcher: u32, inside: &[u32]) -> io::Result<u64> {
    let sum = solution::footprint(launcher, inside)?;
    Ok(sum / (2 + inside.len() as u64))
}

fn main() -> ExitCode {
    footprint::program(&Answer { footprint, ..solution::ANSWER })
}
