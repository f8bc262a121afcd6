//! Question 5: how does a Linux guest reach the host? By leaving `KVM_RUN`, in a thread for each
//! processor. The [loop](crate::exits) is that of a bare program, whose part is
//! [`run`](mod@crate::run); this is the part of Linux, which can be asked and stopped from outside.

use std::sync::PoisonError;

use kvm_ioctls::VcpuFd;
use sandbox::{ExitReason, Trace};

use crate::{
    cell::{self, Role},
    control::{Handle, Shown},
    devices::bus::{Buses, Shared},
    error::Result,
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    exits::{GuestKind, RunLoop, VcpuResult},
    gdb::Debugging,
    guest_exit::GuestExit,
    halt,
    linux::monitor::Tally,
    snapshot::cpu,
};

/// A processor of a Linux guest, as its thread has it.
#[derive(Clone, Copy)]
pub struct LinuxProcessor<'a> {
    /// Where it counts its exits, and shows what it knows while it stands still.
    pub tally: &'a Tally,
    /// What of its state can be saved.
    pub parts: &'a cpu::Parts,
}

impl LinuxProcessor<'_> {
    fn show(&self, what: Shown, cpu: &VcpuFd) {
        let tally = self.tally;
        match what {
            Shown::Registers => {
                let state = cpu.get_regs().and_then(|it| Ok((it, cpu.get_sregs()?)));
                *tally.registers.lock().unwrap_or_else(PoisonError::into_inner) = state.ok();
            }
            Shown::State => {
                let state = cpu::State::of(cpu, self.parts);
                *tally.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
            }
        }
    }
}

impl GuestKind for LinuxProcessor<'_> {
    type DeviceCell = Shared;

    fn count(&mut self, reason: ExitReason) {
        self.tally.exit_counts.lock().unwrap_or_else(PoisonError::into_inner).count(reason);
    }

    fn take_counts(&mut self) -> ExitCounts {
        std::mem::take(&mut *self.tally.exit_counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn halted(&mut self, _: &VcpuFd) -> Option<Result<GuestExit>> {
        None
    }

    fn kicked(&mut self, cpu: &VcpuFd, handle: &Handle) {
        handle.answer_halt_check(|| halt::has_halted(cpu));
        if handle.rest_while_paused(|what| self.show(what, cpu)) {
            // The guest's watchdog would take the time that is missing for a fault. A guest
            // without a clock of KVM's refuses, and has no such watchdog to tell.
            let _ = cpu.kvmclock_ctrl();
        }
    }
}

/// Lets `cpu` run until the guest has come to its end, and gives it back.
pub fn run(
    mut cpu: VcpuFd,
    buses: &Buses,
    handle: &Handle,
    processor: LinuxProcessor<'_>,
    debugging: Option<&Debugging>,
    mut exit_trace: ExitTrace,
) -> (VcpuFd, VcpuResult) {
    let failed = |error| handle.fail(error);
    let mut trace = Trace::new(exit_trace.enabled());
    // It comes before the cell, which lets nobody in.
    let debugger = debugging.and_then(|it| it.wait(handle).map_err(failed).ok().flatten());
    cell::enter(Role::Vcpu, &mut trace).unwrap_or_else(failed);
    exit_trace.entries.append(&mut trace.entries);
    cpu.set_kvm_immediate_exit(0);
    handle.begin(Some(&mut cpu));
    let mut run_loop = RunLoop::new(cpu, buses, handle, debugger, exit_trace, processor);
    run_loop.run();
    run_loop.finish()
}
