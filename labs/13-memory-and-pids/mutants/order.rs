//! Memory and swap together are limited first, while memory alone is not: the kernel refuses it.

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    let swap = group.memory.join("memory.memsw.limit_in_bytes");
    if swap.exists() {
        fs::write(swap, bytes.to_string())?;
    }
    (solution::ANSWER.set_memory)(group, bytes)
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { set_memory, ..solution::ANSWER })
}
