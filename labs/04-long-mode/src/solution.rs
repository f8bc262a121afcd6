//! Lab 04, solved: by the library, but for a page that is not where it seems.

use std::process::ExitCode;

use long_mode::{Answer, scenario::PAGE};
use microvm::{
    memory::Memory,
    tables::{DIRECTORIES, write_pages},
    vcpu::long_mode,
};

pub(crate) const PRESENT: u64 = 1 << 0;
pub(crate) const WRITABLE: u64 = 1 << 1;
pub(crate) const LARGE: u64 = 1 << 7;

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    let entry = physical | PRESENT | WRITABLE | LARGE;
    memory.write("page directory entry", DIRECTORIES + page / PAGE * 8, &entry.to_le_bytes())
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { write_pages, remap, long_mode };

fn main() -> ExitCode {
    long_mode::program(&ANSWER)
}
