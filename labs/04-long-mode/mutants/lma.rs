//! Long mode is enabled and not active, as between two instructions of a boot loader.

use std::process::ExitCode;

use kvm_bindings::kvm_sregs;
use long_mode::Answer;
use microvm::vcpu;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn long_mode(state: &mut kvm_sregs, ring: u8) {
    const LONG_MODE_ACTIVE: u64 = 1 << 10;
    vcpu::long_mode(state, ring);
    state.efer &= !LONG_MODE_ACTIVE;
}

fn main() -> ExitCode {
    long_mode::program(&Answer { long_mode, ..solution::ANSWER })
}
