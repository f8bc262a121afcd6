//! The new entry is an address without flags.

use std::process::ExitCode;

use long_mode::{Answer, scenario::PAGE};
use microvm::{memory::Memory, tables::DIRECTORIES};
use solution::LARGE;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    memory.write("page directory", DIRECTORIES + page / PAGE * 8, &(physical | LARGE).to_le_bytes())
}

fn main() -> ExitCode {
    long_mode::program(&Answer { remap, ..solution::ANSWER })
}
