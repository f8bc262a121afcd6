//! A machine that was made for a try and is still open.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_ioctls::{Kvm, VmFd};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create_vm(kvm: &Kvm) -> Result<VmFd> {
    std::mem::forget(kvm.create_vm()?);
    Ok(kvm.create_vm()?)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { create_vm, ..solution::ANSWER })
}
