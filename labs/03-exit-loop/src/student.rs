//! Lab 03: handle a guest's exits.
//!
//! Write the five functions. `isolab lab check 03` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::process::ExitCode;

use exit_loop::{
    Answer, Devices, Line, Next,
    cpu::Cpu,
    page::RunPage,
    scenario::{ADDER, PORT},
};
use hello_kvm::Result;
use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO};

/// Lets the guest run to its end.
///
/// `cpu.run()` is the ioctl `KVM_RUN`. It fails with `EINTR` when this thread receives a
/// signal, which is not a failure (api.rst, 4.10); any other error is.
fn run(cpu: &mut Cpu, devices: &mut Devices) -> Result<()> {
    todo!("lab 3, step 1: a loop of cpu.run() and handle_exit(&mut cpu.page(), devices)")
}

/// Handles an exit, and says whether the guest continues.
///
/// A port, memory, and `hlt`, which ends this guest. Any other reason is an error that names it.
fn handle_exit(page: &mut RunPage, devices: &mut Devices) -> Result<Next> {
    todo!("lab 3, step 2: match page.reason()")
}

/// The serial port, one register of one byte at `PORT`: a byte that the guest writes goes out on
/// the line, and a byte that it reads comes from there. One byte after another, however many there are.
///
/// Other ports have no device: writes are lost, and reads return 0xff, as on a real bus.
fn handle_port(page: &mut RunPage, line: &mut Line) {
    let access = page.port_access();
    todo!("lab 3, step 3: for each byte of port_data: send it, or receive it")
}

/// The bytes of a port exit: `count` values of `size` bytes each, from `data_offset` on.
///
/// They are in the page itself, for both directions: the guest's `out` put them there, and its
/// `in` will take them from there. See the drawing in `page.rs`.
fn port_data<'p>(page: &'p mut RunPage) -> &'p mut [u8] {
    let access = page.port_access();
    todo!("lab 3, step 4: a slice of page.bytes()")
}

/// The adder, one register of 4 bytes at the guest's physical address `ADDER`: a number written to
/// it is added to `sum`, modulo 2^32; a read gives `sum`. The least significant byte comes first.
///
/// The guest writes 1, 2 or 4 bytes; `page.memory_data()` has the length of the access. Other
/// addresses have no device, as above.
fn handle_memory(page: &mut RunPage, sum: &mut u32) {
    let access = page.memory_access();
    todo!("lab 3, step 5: is_write: add; else fill page.memory_data()")
}

fn main() -> ExitCode {
    exit_loop::program(&Answer { handle_exit, run })
}
