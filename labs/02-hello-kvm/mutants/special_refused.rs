//! Written without being read: all the other special registers are made up.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::{kvm_regs, kvm_sregs};
use kvm_ioctls::VcpuFd;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_entry(cpu: &VcpuFd, registers: &kvm_regs) -> Result<()> {
    // Paging on and long mode half on, as nobody would read it.
    let state = kvm_sregs { cr0: 1 << 31, efer: 1 << 8, ..kvm_sregs::default() };
    cpu.set_sregs(&state)?;
    Ok(cpu.set_regs(registers)?)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { set_entry, ..solution::ANSWER })
}
