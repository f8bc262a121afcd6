//! Processors are counted from 0; this is the second one.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_ioctls::{VcpuFd, VmFd};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create_vcpu(vm: &VmFd) -> Result<VcpuFd> {
    Ok(vm.create_vcpu(1)?)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { create_vcpu, ..solution::ANSWER })
}
