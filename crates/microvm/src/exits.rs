//! Question 5: how does it reach the host? The microVM's answer; see `container::process` for the
//! other.
//!
//! A process makes system calls: hundreds, each with its own meaning. A virtual machine leaves
//! `KVM_RUN` for a handful of reasons, and this loop is all that the host does for it. The guest is
//! an adversary here: it may cause any exit at any time with any operands, and whatever it does
//! ends in an [`End`], never in a panic.

use kvm_ioctls::{VcpuExit, VcpuFd};
use sandbox::{ExitReason, Milestone};

use crate::{
    cell,
    control::Handle,
    devices::bare::Devices,
    error::{Error, Result},
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    gdb::{self, Debugger},
    memory::Memory,
};

pub use crate::faulted::{Faulted, Strange, Whereabouts};

/// How a guest came to its end.
#[derive(Debug)]
pub enum End {
    /// It said so, with this code.
    Exited(u8),
    /// A signal from outside, or a closed output, ended it as it would a process.
    Signaled(i32),
    /// Its deadline had passed.
    Deadline,
    /// It did not start up in the time that it had for that.
    NeverStartedUp,
    /// Its captured output passed the bound.
    TooMuchOutput,
    /// No end: it is stopped where it said that it may be, and can go on from there.
    Frozen,
    /// It turned its machine off.
    PowerOff,
    /// It started its machine anew.
    Reset,
    /// All of its processors halted with interrupts off: nothing can wake them.
    Halted,
    /// It did what no program may.
    Strange(Strange),
}

/// Lets the guest run until it ends, and counts its exits on the way.
///
/// # Errors
///
/// When the host's own part fails: KVM, or writing the guest's output.
pub fn run_until_end(
    cpu: &mut VcpuFd,
    memory: &Memory,
    devices: &mut Devices,
    exit_counts: &mut ExitCounts,
    handle: &Handle,
    exit_trace: &mut ExitTrace,
    debugger: &mut Option<Debugger>,
) -> Result<End> {
    handle.reach(Milestone::Entered);
    gdb::begin(debugger, cpu, memory, handle)?;
    loop {
        let exit = cpu.run();
        let began = exit_trace.now();
        let (reason, end) = match exit {
            Ok(VcpuExit::IoOut(port, data)) => {
                (ExitReason::Out { port }, devices.port_write(port, data, memory, handle)?)
            }
            Ok(VcpuExit::IoIn(port, data)) => {
                data.fill(0xff);
                (ExitReason::In { port }, None)
            }
            Ok(VcpuExit::MmioRead(address, data)) => {
                data.fill(0xff);
                (ExitReason::MmioRead { address }, None)
            }
            Ok(VcpuExit::MmioWrite(address, _)) => (ExitReason::MmioWrite { address }, None),
            Ok(VcpuExit::Hlt) => (ExitReason::Halt, Some(halted(cpu, memory)?)),
            Ok(VcpuExit::Shutdown) => {
                (ExitReason::TripleFault, Some(End::Strange(Strange::TripleFault)))
            }
            Ok(VcpuExit::InternalError) => {
                let strange = Strange::internal(cpu.get_kvm_run());
                (ExitReason::Other(strange.name().into()), Some(End::Strange(strange)))
            }
            Ok(VcpuExit::Debug(_)) => {
                gdb::trapped(debugger, cpu, memory, handle)?;
                continue;
            }
            Err(errno) if errno.errno() == libc::EINTR => match handle.take_end() {
                Some(end) => return end,
                // A debugger's, or a signal that was meant for another thread.
                None => {
                    gdb::interrupted(debugger, cpu, memory, handle)?;
                    continue;
                }
            },
            Err(errno) if errno.errno() == libc::EAGAIN => continue,
            Err(errno) => return Err(Error::kvm("KVM_RUN")(errno)),
            Ok(other) => {
                let strange = Strange::of(&other);
                (ExitReason::Other(strange.name().into()), Some(End::Strange(strange)))
            }
        };
        exit_counts.count(reason.clone());
        if let Some(breach) = cell::breach() {
            return Err(Error::Breach(breach));
        }
        let device = match reason {
            ExitReason::Out { port } => Devices::at(port),
            ExitReason::Halt => Some("the end"),
            _ => None,
        };
        exit_trace.record(began, reason, device);
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

/// What a halted CPU means: an exception if it halted in a handler, else the program's end.
fn halted(cpu: &VcpuFd, memory: &Memory) -> Result<End> {
    let registers = cpu.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?;
    let state = cpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
    Ok(match Strange::exception(&registers, &state, memory) {
        Some(exception) => End::Strange(exception),
        None => End::Exited(0),
    })
}
