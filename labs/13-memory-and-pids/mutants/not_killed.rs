//! More than is expected is not even asked for: the process ends by itself.

use std::process::ExitCode;

use memory_and_pids::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn fill(bytes: usize) -> Vec<u8> {
    if bytes > 32 << 20 {
        std::process::exit(1);
    }
    vec![1; bytes]
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { fill, ..solution::ANSWER })
}
