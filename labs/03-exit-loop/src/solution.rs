//! Lab 03, solved.

use std::process::ExitCode;

use exit_loop::{
    Answer, Devices, Line, Next,
    cpu::Cpu,
    page::RunPage,
    scenario::{ADDER, PORT},
};
use hello_kvm::Result;
use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO};

pub(crate) fn port_data<'p>(page: &'p mut RunPage) -> &'p mut [u8] {
    let access = page.port_access();
    let start = access.data_offset;
    &mut page.bytes()[start..start + access.size * access.count]
}

pub(crate) fn handle_port(page: &mut RunPage, line: &mut Line) {
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

pub(crate) fn handle_memory(page: &mut RunPage, sum: &mut u32) {
    let access = page.memory_access();
    let data = page.memory_data();
    if access.address != ADDER {
        data.fill(0xff);
    } else if access.is_write {
        let number = data.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
        *sum = sum.wrapping_add(number);
    } else {
        for (byte, of_sum) in data.iter_mut().zip(sum.to_le_bytes()) {
            *byte = of_sum;
        }
    }
}

pub(crate) fn handle_exit(page: &mut RunPage, devices: &mut Devices) -> Result<Next> {
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

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { handle_exit, run };

fn main() -> ExitCode {
    exit_loop::program(&ANSWER)
}
