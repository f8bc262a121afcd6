//! CR4.PAE is off: entries would have four bytes.

use std::process::ExitCode;

use kvm_bindings::{kvm_segment, kvm_sregs};
use long_mode::{Answer, plan::PAGE};
use microvm::{
    memory::Memory,
    tables::{DIRECTORIES, DIRECTORY_POINTERS, PAGE_MAP},
};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;

fn entry(address: u64, flags: u64) -> [u8; 8] {
    (address | flags | PRESENT | WRITABLE).to_le_bytes()
}

fn write_pages(memory: &Memory, mapped: u64) -> microvm::Result<()> {
    memory.write("page map", PAGE_MAP, &entry(DIRECTORY_POINTERS, 0))?;
    memory.write("directory pointers", DIRECTORY_POINTERS, &entry(DIRECTORIES, 0))?;
    for index in 0..mapped / PAGE {
        memory.write("page directory", DIRECTORIES + index * 8, &entry(index * PAGE, LARGE))?;
    }
    Ok(())
}

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    memory.write("page directory", DIRECTORIES + page / PAGE * 8, &entry(physical, LARGE))
}

fn long_mode(state: &mut kvm_sregs, ring: u8) {
    const PROTECTED: u64 = 1 << 0;
    const PAGING: u64 = 1 << 31;
    const LONG_MODE_ENABLED: u64 = 1 << 8;
    const LONG_MODE_ACTIVE: u64 = 1 << 10;
    state.cr0 = PROTECTED | PAGING;
    state.cr3 = PAGE_MAP;
    state.efer = LONG_MODE_ENABLED | LONG_MODE_ACTIVE;
    state.cs = kvm_segment {
        limit: u32::MAX,
        selector: 0x10 | u16::from(ring),
        type_: 0xb,
        present: 1,
        dpl: ring,
        s: 1,
        l: 1,
        g: 1,
        ..kvm_segment::default()
    };
}

fn main() -> ExitCode {
    long_mode::program(&Answer { write_pages, remap, long_mode })
}
