//! The number with a unit that the kernel does not know.

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    let file = if group.version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
    fs::write(group.memory.join(file), format!("{} MiB", bytes >> 20))
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { set_memory, ..solution::ANSWER })
}
