//! The walk would begin in the second table.

use std::process::ExitCode;

use kvm_bindings::kvm_sregs;
use long_mode::Answer;
use microvm::{tables::DIRECTORY_POINTERS, vcpu};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn long_mode(state: &mut kvm_sregs, ring: u8) {
    vcpu::long_mode(state, ring);
    state.cr3 = DIRECTORY_POINTERS;
}

fn main() -> ExitCode {
    long_mode::program(&Answer { long_mode, ..solution::ANSWER })
}
