//! Values of one byte, however long they are.

use std::process::ExitCode;

use exit_loop::{Answer, Devices, Line, Next, cpu::Cpu, page::RunPage, scenario::PORT};
use hello_kvm::Result;
use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO};
use solution::handle_memory;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn port_data<'p>(page: &'p mut RunPage) -> &'p mut [u8] {
    let access = page.port_access();
    let start = access.data_offset;
    &mut page.bytes()[start..start + access.count]
}

fn handle_port(page: &mut RunPage, line: &mut Line) {
    let access = page.port_access();
    for byte in port_data(page) {
        match (access.port, access.is_out) {
            (PORT, true) => line.send(*byte),
            (PORT, false) => *byte = line.receive(),
            // Nobody is there.
            (_, true) => {}
            (_, false) => *byte = 0xff,
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
