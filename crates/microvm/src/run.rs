//! A bare program for the [loop](crate::exits) that all guests run in; [`linux::run`] is its twin.
//!
//! It has one processor and no interrupt controller: where that halts is the end, and all that its
//! thread has is its own.
//!
//! [`linux::run`]: crate::linux::run

use std::sync::Arc;

use kvm_ioctls::VcpuFd;
use sandbox::ExitReason;

use crate::{
    control::Handle,
    devices::bus::Unshared,
    error::{Error, Result},
    exception,
    exit_counts::ExitCounts,
    exits::GuestKind,
    guest_exit::GuestExit,
    memory::Memory,
};

/// A bare program.
pub struct BareProgram {
    /// Its memory.
    pub memory: Arc<Memory>,
    /// The exits so far.
    pub exit_counts: ExitCounts,
}

impl GuestKind for BareProgram {
    type DeviceCell = Unshared;

    fn count(&mut self, reason: ExitReason) {
        self.exit_counts.count(reason);
    }

    fn take_counts(&mut self) -> ExitCounts {
        std::mem::take(&mut self.exit_counts)
    }

    fn halted(&mut self, cpu: &VcpuFd) -> Option<Result<GuestExit>> {
        Some(halted(cpu, &self.memory))
    }

    /// Nobody kicks it but for its end, or to let its debugger in.
    fn kicked(&mut self, _: &VcpuFd, _: &Handle) {}
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
