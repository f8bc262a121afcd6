//! Nothing may be executed: bit 63 of an entry forbids it.

use std::process::ExitCode;

use long_mode::{Answer, scenario::PAGE};
use microvm::{
    memory::Memory,
    tables::{DIRECTORIES, DIRECTORY_POINTERS, PAGE_MAP},
};
use solution::{LARGE, PRESENT, WRITABLE};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

const EXECUTE_DISABLE: u64 = 1 << 63;

fn entry(address: u64, flags: u64) -> [u8; 8] {
    (address | flags | PRESENT | WRITABLE | EXECUTE_DISABLE).to_le_bytes()
}

fn write_pages(memory: &Memory, mapped: u64) -> microvm::Result<()> {
    memory.write("page map", PAGE_MAP, &entry(DIRECTORY_POINTERS, 0))?;
    memory.write("directory pointers", DIRECTORY_POINTERS, &entry(DIRECTORIES, 0))?;
    for index in 0..mapped / PAGE {
        memory.write("page directory", DIRECTORIES + index * 8, &entry(index * PAGE, LARGE))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    long_mode::program(&Answer { write_pages, ..solution::ANSWER })
}
