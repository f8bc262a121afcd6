//! A kB is taken for a thousand bytes.

use std::{io, process::ExitCode};

use footprint::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pss(pid: u32) -> io::Result<u64> {
    solution::pss(pid).map(|bytes| bytes / 1024 * 1000)
}

fn main() -> ExitCode {
    footprint::program(&Answer { pss, ..solution::ANSWER })
}
