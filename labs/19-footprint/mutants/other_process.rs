//! The memory of the process that asks.

use std::{io, process::ExitCode};

use footprint::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pss(pid: u32) -> io::Result<u64> {
    let _ = pid;
    solution::pss(std::process::id())
}

fn main() -> ExitCode {
    footprint::program(&Answer { pss, ..solution::ANSWER })
}
