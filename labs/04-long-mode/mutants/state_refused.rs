//! Every bit of CR4: what could be missing then?

use std::process::ExitCode;

use kvm_bindings::kvm_sregs;
use long_mode::Answer;
use microvm::vcpu;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn long_mode(state: &mut kvm_sregs, ring: u8) {
    vcpu::long_mode(state, ring);
    state.cr4 = u64::MAX;
}

fn main() -> ExitCode {
    long_mode::program(&Answer { long_mode, ..solution::ANSWER })
}
