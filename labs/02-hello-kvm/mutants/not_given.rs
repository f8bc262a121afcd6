//! The slot is described, but the machine never gets it.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

#[allow(clippy::unnecessary_wraps, reason = "the signature is that of the step")]
fn add_memory(_vm: &VmFd, _slot: kvm_userspace_memory_region) -> Result<()> {
    Ok(())
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { add_memory, ..solution::ANSWER })
}
