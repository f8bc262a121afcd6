//! A page is emptied before it is mapped, whatever lies there.

use std::process::ExitCode;

use long_mode::{
    Answer,
    scenario::{MEMORY_BYTES, PAGE},
};
use microvm::{memory::Memory, tables::DIRECTORIES};
use solution::{LARGE, PRESENT, WRITABLE};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    if physical < MEMORY_BYTES {
        memory.write("page", physical, &vec![0; PAGE as usize])?;
    }
    let entry = physical | PRESENT | WRITABLE | LARGE;
    memory.write("page directory", DIRECTORIES + page / PAGE * 8, &entry.to_le_bytes())
}

fn main() -> ExitCode {
    long_mode::program(&Answer { remap, ..solution::ANSWER })
}
