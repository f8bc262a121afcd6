//! The code segment stays where it is after reset, at the end of the address space.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::kvm_regs;
use kvm_ioctls::VcpuFd;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_entry(cpu: &VcpuFd, registers: &kvm_regs) -> Result<()> {
    Ok(cpu.set_regs(registers)?)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { set_entry, ..solution::ANSWER })
}
