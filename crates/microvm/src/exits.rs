//! Question 5: how does it reach the host? The microVM's answer; see `container::process` for the
//! other.
//!
//! A process makes system calls: hundreds, each with its own meaning. A virtual machine leaves
//! `KVM_RUN` for a handful of reasons, and this loop is all that the host does for it. The guest is
//! an adversary here: it may cause any exit at any time with any operands, and whatever it does
//! ends in a [`GuestExit`], never in a panic.

use kvm_ioctls::{VcpuExit, VcpuFd};
use sandbox::{ExitReason, Milestone};

use crate::{
    cell,
    control::Handle,
    devices::bare::Devices,
    error::{Error, Result},
    exception,
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    fault::Fault,
    gdb::{self, Debugger},
    guest_exit::GuestExit,
    memory::Memory,
};

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
) -> Result<GuestExit> {
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
                (ExitReason::TripleFault, Some(GuestExit::Fault(Fault::TripleFault)))
            }
            Ok(VcpuExit::InternalError) => {
                let fault = Fault::internal(cpu.get_kvm_run());
                (ExitReason::Other(fault.name().into()), Some(GuestExit::Fault(fault)))
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
                let fault = Fault::of(&other);
                (ExitReason::Other(fault.name().into()), Some(GuestExit::Fault(fault)))
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
fn halted(cpu: &VcpuFd, memory: &Memory) -> Result<GuestExit> {
    let registers = cpu.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?;
    let state = cpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
    Ok(match exception::halted_in_handler(&registers, &state, memory) {
        Some(exception) => GuestExit::Fault(exception),
        None => GuestExit::Exited(0),
    })
}
