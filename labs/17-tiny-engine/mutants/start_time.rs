//! The fields are counted as if the name had no spaces.

use std::{fs, io, process::ExitCode};

use tiny_engine::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let field = stat.split_whitespace().nth(22 - 1).and_then(|field| field.parse().ok());
    field.ok_or_else(|| io::Error::other(format!("{stat:?} has no start time")))
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { start_time, ..solution::ANSWER })
}
