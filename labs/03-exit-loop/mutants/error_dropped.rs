//! An exit that could not be handled does not end the loop.

use std::process::ExitCode;

use exit_loop::{Answer, Devices, Next, cpu::Cpu};
use hello_kvm::Result;
use solution::handle_exit;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn run(cpu: &mut Cpu, devices: &mut Devices) -> Result<()> {
    loop {
        match cpu.run() {
            Ok(()) => {}
            Err(error) if error.errno() == libc::EINTR => continue,
            Err(error) => return Err(error.into()),
        }
        if matches!(handle_exit(&mut cpu.page(), devices), Ok(Next::Stop)) {
            return Ok(());
        }
    }
}

fn main() -> ExitCode {
    exit_loop::program(&Answer { run, ..solution::ANSWER })
}
