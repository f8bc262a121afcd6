//! A sum that would be too large ends the program.

use std::process::ExitCode;

use exit_loop::{Answer, Devices, Next, cpu::Cpu, page::RunPage, scenario::ADDER};
use hello_kvm::Result;
use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO};
use solution::handle_port;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn handle_memory(page: &mut RunPage, sum: &mut u32) {
    let access = page.memory_access();
    let data = page.memory_data();
    if access.address != ADDER {
        data.fill(0xff);
    } else if access.is_write {
        let number = data.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
        *sum += number;
    } else {
        for (byte, of_sum) in data.iter_mut().zip(sum.to_le_bytes()) {
            *byte = of_sum;
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
