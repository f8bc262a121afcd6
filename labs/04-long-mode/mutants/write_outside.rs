//! The entry is written to the page that it is to lead to.

use std::process::ExitCode;

use long_mode::{Answer, scenario::PAGE};
use microvm::memory::Memory;
use solution::{LARGE, PRESENT, WRITABLE};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    let entry = physical | PRESENT | WRITABLE | LARGE;
    memory.write("page directory", physical + page / PAGE * 8, &entry.to_le_bytes())
}

fn main() -> ExitCode {
    long_mode::program(&Answer { remap, ..solution::ANSWER })
}
