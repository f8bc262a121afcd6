//! The first exit is taken for the end.

use std::process::ExitCode;

use exit_loop::{Answer, Devices, cpu::Cpu};
use hello_kvm::Result;
use solution::handle_exit;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn run(cpu: &mut Cpu, devices: &mut Devices) -> Result<()> {
    cpu.run()?;
    handle_exit(&mut cpu.page(), devices)?;
    Ok(())
}

fn main() -> ExitCode {
    exit_loop::program(&Answer { run, ..solution::ANSWER })
}
