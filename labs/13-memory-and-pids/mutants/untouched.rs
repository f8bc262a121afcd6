//! The memory is asked for and never written to, so there is none.

use std::process::ExitCode;

use memory_and_pids::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn fill(bytes: usize) -> Vec<u8> {
    vec![0; bytes]
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { fill, ..solution::ANSWER })
}
