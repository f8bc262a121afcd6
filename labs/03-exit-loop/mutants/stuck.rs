//! The loop waits for an exit, but nobody lets the guest run.

use std::process::ExitCode;

use exit_loop::{Answer, Devices, Next, cpu::Cpu};
use hello_kvm::Result;
use kvm_bindings::KVM_EXIT_HLT;
use solution::handle_exit;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn run(cpu: &mut Cpu, devices: &mut Devices) -> Result<()> {
    loop {
        // The page is as it was before the first exit: no reason at all.
        if cpu.page().reason() == KVM_EXIT_HLT
            && handle_exit(&mut cpu.page(), devices)? == Next::Stop
        {
            return Ok(());
        }
    }
}

fn main() -> ExitCode {
    exit_loop::program(&Answer { run, ..solution::ANSWER })
}
