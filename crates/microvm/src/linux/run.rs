//! Question 5: how does a Linux guest reach the host? By leaving `KVM_RUN`, in a thread for each
//! processor.
//!
//! What KVM answers itself never comes here: page tables, interrupts between processors, timers,
//! halting. What comes here is for devices, and the loop only carries it to the bus.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use kvm_ioctls::{VcpuExit, VcpuFd};
use sandbox::{ExitReason, Milestone, Trace};

use crate::{
    cell::{self, Role},
    control::{Handle, Shown},
    devices::bus::Buses,
    error::{Error, Result},
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    fault::{Fault, VcpuState},
    gdb::{self, Debugger},
    guest_exit::GuestExit,
    halt,
    instance::cpu_time,
    linux::monitor::Tally,
    memory::Memory,
    snapshot::cpu,
    statistics,
};

/// What a processor's thread brings back.
pub struct Ran {
    /// Where the processor was at the end.
    pub vcpu_state: VcpuState,
    /// Its exits.
    pub exit_counts: ExitCounts,
    /// CPU time that it took of the thread, the guest's in it.
    pub cpu_time: Duration,
    /// Those of its exits that are traced.
    pub exit_trace: ExitTrace,
    /// All of its exits, by KVM's own count.
    pub exits: Option<u64>,
}

/// What a debugger's stop is for.
type Stop = fn(&mut Option<Debugger>, &mut VcpuFd, &Memory, &Handle) -> Result<()>;

/// Where a debugger may come, and what it looks into.
pub struct Debugging {
    /// Where.
    pub listener: Arc<gdb::Listener>,
    /// The guest's memory.
    pub memory: Arc<Memory>,
}

impl Debugging {
    /// The debugger that has come; nobody, if the guest is to end before.
    fn wait(&self, handle: &Handle) -> Option<Debugger> {
        match Debugger::wait_for(&self.listener, gdb::Width::Bits64, handle) {
            Ok(debugger) => debugger,
            Err(error) => {
                handle.fail(error);
                None
            }
        }
    }
}

/// Where a processor shows what it knows while it stands still.
#[derive(Clone, Copy)]
pub struct Showing<'a> {
    /// There.
    pub tally: &'a Tally,
    /// How much of it there is.
    pub parts: &'a cpu::Parts,
}

impl Showing<'_> {
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

/// Lets `cpu` run until the guest has come to its end, and gives it back.
///
/// A guest that is frozen can go on later. So its processor has to complete what it is about: the
/// answer to an `in` is taken when `KVM_RUN` is called again, and the kick has seen to it that this
/// call does nothing beyond that.
pub fn run(
    mut cpu: VcpuFd,
    buses: &Buses,
    handle: &Handle,
    showing: Showing<'_>,
    debugging: Option<&Debugging>,
    mut exit_trace: ExitTrace,
) -> (VcpuFd, Ran) {
    let tally = showing.tally;
    let mut trace = Trace::new(exit_trace.enabled());
    // It comes before the cell, which lets nobody in.
    let mut debugger = debugging.and_then(|debugging| debugging.wait(handle));
    let mut debug = |cpu: &mut VcpuFd, what: Stop| {
        if let Some(Err(error)) =
            debugging.map(|debugging| what(&mut debugger, cpu, &debugging.memory, handle))
        {
            handle.fail(error);
        }
    };
    if let Err(error) = cell::enter(Role::Vcpu, &mut trace) {
        handle.fail(error);
    }
    exit_trace.entries.append(&mut trace.entries);
    cpu.set_kvm_immediate_exit(0);
    handle.begin(Some(&mut cpu));
    handle.reach(Milestone::Entered);
    debug(&mut cpu, gdb::begin);
    let (mut complete, before) = (false, cpu_time());
    while !handle.has_ended() || handle.is_frozen() && !complete {
        let exit = cpu.run();
        complete = exit.is_err();
        let began = exit_trace.now();
        let (reason, device) = match exit {
            Ok(VcpuExit::IoOut(port, data)) => {
                (ExitReason::Out { port }, buses.ports.write_port(port, data))
            }
            Ok(VcpuExit::IoIn(port, data)) => {
                (ExitReason::In { port }, buses.ports.read_port(port, data))
            }
            Ok(VcpuExit::MmioWrite(address, data)) => {
                (ExitReason::MmioWrite { address }, buses.memory.write(address, data))
            }
            Ok(VcpuExit::MmioRead(address, data)) => {
                (ExitReason::MmioRead { address }, buses.memory.read(address, data))
            }
            Ok(VcpuExit::Debug(_)) => {
                debug(&mut cpu, gdb::trapped);
                continue;
            }
            Ok(VcpuExit::Shutdown) => {
                handle.give(GuestExit::Fault(Fault::TripleFault));
                (ExitReason::TripleFault, None)
            }
            Ok(VcpuExit::InternalError) => {
                let fault = Fault::internal(cpu.get_kvm_run());
                let name = fault.name();
                handle.give(GuestExit::Fault(fault));
                (ExitReason::Other(name.into()), None)
            }
            // Kicked, or a processor that nobody has started yet.
            Err(errno) if matches!(errno.errno(), libc::EINTR | libc::EAGAIN) => {
                // Before the end is looked for, so that no kick for an end is undone.
                cpu.set_kvm_immediate_exit(0);
                handle.answer_halt_check(|| halt::has_halted(&cpu));
                debug(&mut cpu, gdb::interrupted);
                if handle.rest_while_paused(|what| showing.show(what, &cpu)) {
                    // The guest's watchdog would take the time that is missing for a fault. A guest
                    // without a clock of KVM's refuses, and has no such watchdog to tell.
                    let _ = cpu.kvmclock_ctrl();
                }
                continue;
            }
            Err(errno) => {
                handle.fail(Error::kvm("KVM_RUN")(errno));
                break;
            }
            Ok(other) => {
                let fault = Fault::of(&other);
                let name = fault.name();
                handle.give(GuestExit::Fault(fault));
                (ExitReason::Other(name.into()), None)
            }
        };
        tally.exit_counts.lock().unwrap_or_else(PoisonError::into_inner).count(reason.clone());
        if let Some(breach) = cell::breach() {
            handle.fail(Error::Breach(breach));
        }
        exit_trace.record(began, reason, device);
    }
    handle.end();
    // What was counted is taken out: what a processor counts later is counted anew.
    let exit_counts =
        std::mem::take(&mut *tally.exit_counts.lock().unwrap_or_else(PoisonError::into_inner));
    let vcpu_state = VcpuState::of(&cpu, &exit_counts);
    let exits = statistics::of(&cpu, "exits");
    let cpu_time = cpu_time().saturating_sub(before);
    (cpu, Ran { vcpu_state, exit_counts, cpu_time, exit_trace, exits })
}
