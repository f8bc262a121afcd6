//! A number with a word.

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_pids(group: &Group, most: u64) -> io::Result<()> {
    fs::write(group.pids.join("pids.max"), format!("{most} processes"))
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { set_pids, ..solution::ANSWER })
}
