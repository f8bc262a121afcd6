//! After its end the guest is let in once more.

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
        if handle_exit(&mut cpu.page(), devices)? == Next::Stop {
            cpu.run()?;
            return Ok(());
        }
    }
}

fn main() -> ExitCode {
    exit_loop::program(&Answer { run, ..solution::ANSWER })
}
