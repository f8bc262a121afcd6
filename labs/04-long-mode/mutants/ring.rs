//! Whatever the ring, the segment is that of ring 0.

use std::process::ExitCode;

use kvm_bindings::kvm_sregs;
use long_mode::Answer;
use microvm::vcpu;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn long_mode(state: &mut kvm_sregs, _ring: u8) {
    vcpu::long_mode(state, 0);
}

fn main() -> ExitCode {
    long_mode::program(&Answer { long_mode, ..solution::ANSWER })
}
