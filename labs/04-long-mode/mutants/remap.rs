//! The guest's page and the physical one are mixed up.

use std::process::ExitCode;

use long_mode::{Answer, scenario::PAGE};
use microvm::{memory::Memory, tables::DIRECTORIES};
use solution::{LARGE, PRESENT, WRITABLE};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn entry(address: u64, flags: u64) -> [u8; 8] {
    (address | flags | PRESENT | WRITABLE).to_le_bytes()
}

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    memory.write("page directory", DIRECTORIES + physical / PAGE * 8, &entry(page, LARGE))
}

fn main() -> ExitCode {
    long_mode::program(&Answer { remap, ..solution::ANSWER })
}
