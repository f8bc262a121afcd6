//! The base is moved, the selector stays that of the firmware.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::kvm_regs;
use kvm_ioctls::VcpuFd;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_entry(cpu: &VcpuFd, registers: &kvm_regs) -> Result<()> {
    let mut state = cpu.get_sregs()?;
    state.cs.base = 0;
    cpu.set_sregs(&state)?;
    Ok(cpu.set_regs(registers)?)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { set_entry, ..solution::ANSWER })
}
