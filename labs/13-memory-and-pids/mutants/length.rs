//! As many pages as fit, and the rest is left out.

use std::process::ExitCode;

use memory_and_pids::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn fill(bytes: usize) -> Vec<u8> {
    vec![1; bytes / 2]
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { fill, ..solution::ANSWER })
}
