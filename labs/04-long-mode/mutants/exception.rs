//! The token is data, so its page is not to be executed; but EFER does not turn that bit on.

use std::process::ExitCode;

use kvm_bindings::kvm_sregs;
use long_mode::{Answer, scenario::PAGE};
use microvm::{memory::Memory, tables::DIRECTORIES, vcpu};
use solution::{LARGE, PRESENT, WRITABLE};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    const NO_EXECUTE: u64 = 1 << 63;
    let entry = physical | PRESENT | WRITABLE | LARGE | NO_EXECUTE;
    memory.write("page directory", DIRECTORIES + page / PAGE * 8, &entry.to_le_bytes())
}

fn long_mode(state: &mut kvm_sregs, ring: u8) {
    vcpu::long_mode(state, ring);
    state.efer = 1 << 8 | 1 << 10;
}

fn main() -> ExitCode {
    long_mode::program(&Answer { remap, long_mode, ..solution::ANSWER })
}
