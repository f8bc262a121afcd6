//! The page behind the one that is meant is mapped anew as well.

use std::process::ExitCode;

use long_mode::{Answer, scenario::PAGE};
use microvm::{memory::Memory, tables::DIRECTORIES};
use solution::{LARGE, PRESENT, WRITABLE};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    for number in 0..2 {
        let entry = (physical + number * PAGE) | PRESENT | WRITABLE | LARGE;
        let place = DIRECTORIES + (page / PAGE + number) * 8;
        memory.write("page directory", place, &entry.to_le_bytes())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    long_mode::program(&Answer { remap, ..solution::ANSWER })
}
