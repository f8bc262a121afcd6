//! QEMU's part in seventy lines: a monitor for one boot sector and one serial port.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::ExitCode,
};

use kvm_ioctls::VcpuExit;
use microvm::{
    loader::{EntryState, Power},
    machine::Machine,
    memory::{Memory, PAGE, Pages},
    tables, vcpu,
};
use sandbox::Trace;

use crate::{sector::ADDRESS, until_alone};

const SEND: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
/// There is room for a byte, and the line is idle.
const READY: u8 = 0x60;

type Failure = Box<dyn std::error::Error>;

/// Runs the boot sector in `image`; what it prints goes to `serial`.
pub(crate) fn main(image: &Path, serial: &Path) -> ExitCode {
    match run(image, serial) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("monitor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(image: &Path, serial: &Path) -> Result<(), Failure> {
    let mut serial = File::create(serial)?;
    let mut machine = Machine::create(Path::new("/dev/kvm"), Trace::default())?;
    let memory = Memory::new(PAGE, Pages::Small, &mut machine.trace())?;
    let memory = machine.attach(memory)?;
    tables::write_vectors(memory)?;
    // What firmware does: the first sector of the disk to where it is expected.
    memory.write("boot sector", ADDRESS, &fs::read(image)?)?;
    let mut cpu = machine.cpu(0)?;
    let entry =
        EntryState { power: Power::Real, instruction: ADDRESS, stack: ADDRESS, memory_end: PAGE };
    vcpu::prepare(&cpu, &entry, &mut machine.trace())?;
    loop {
        match cpu.run() {
            Ok(VcpuExit::IoOut(SEND, bytes)) => serial.write_all(bytes)?,
            Ok(VcpuExit::IoIn(LINE_STATUS, bytes)) => bytes.fill(READY),
            Ok(VcpuExit::IoIn(_, bytes)) => bytes.fill(0xff),
            Ok(VcpuExit::IoOut(..)) => {}
            // Its interrupts are off, so nothing will ever wake it.
            Ok(VcpuExit::Hlt) => {
                until_alone();
                return Ok(());
            }
            Err(error) if [libc::EINTR, libc::EAGAIN].contains(&error.errno()) => {}
            other => return Err(format!("a strange exit: {other:?}").into()),
        }
    }
}
