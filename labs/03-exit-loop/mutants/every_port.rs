//! Whatever the port, it is the serial one.

use std::process::ExitCode;

use exit_loop::{Answer, Devices, Line, Next, cpu::Cpu, page::RunPage};
use hello_kvm::Result;
use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO};
use solution::{handle_memory, port_data};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn handle_port(page: &mut RunPage, line: &mut Line) {
    let access = page.port_access();
    for byte in port_data(page) {
        if access.is_out {
            line.send(*byte);
        } else {
            *byte = line.receive();
        }
    }
}

fn handle_exit(page: &mut RunPage, devices: &mut Devices) -> Result<Next> {
    match page.reason() {
        KVM_EXIT_IO => handle_port(page, &mut devices.line),
        KVM_EXIT_MMIO => handle_memory(page, &mut devices.sum),
        KVM_EXIT_HLT => return Ok(Next::Stop),
        other => return Err(format!("an exit for which there is no device: {other}").into()),
    }
    Ok(Next::Run)
}

fn run(cpu: &mut Cpu, devices: &mut Devices) -> Result<()> {
    loop {
        match cpu.run() {
            Ok(()) => {}
            Err(error) if error.errno() == libc::EINTR => continue,
            Err(error) => return Err(error.into()),
        }
        if handle_exit(&mut cpu.page(), devices)? == Next::Stop {
            return Ok(());
        }
    }
}

fn main() -> ExitCode {
    exit_loop::program(&Answer { handle_exit, run })
}
