//! Question 5: how does it reach the host? The microVM's answer; see `container::process` for the
//! other.
//!
//! A process makes system calls: hundreds, each with its own meaning. A virtual machine leaves
//! `KVM_RUN` for a handful of reasons, and this loop is all that the host does for it, be it a bare
//! program or Linux. The guest is an adversary here: it may cause any exit at any time with any
//! operands, and whatever it does ends in a [`GuestExit`], never in a panic.
//!
//! ```text
//!   KVM_RUN returns   in, out          the device at that port           and on
//!                     memory access    the device at that address        and on
//!                     hlt              GuestKind::halted                 the end
//!                     a breakpoint     the debugger                      and on
//!                     EINTR: kicked    GuestKind::kicked                 and on, if not ended
//!                     anything else    a Fault                           the end
//! ```
//!
//! What KVM answers itself never comes here: page tables and, for Linux, interrupts between
//! processors, timers, halting.

use std::time::Duration;

use kvm_ioctls::{VcpuExit, VcpuFd};
use sandbox::{ExitReason, Milestone};

use crate::{
    cell,
    control::Handle,
    cpu_time::cpu_time,
    devices::bus::{Buses, DeviceCell},
    error::{Error, Result},
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    fault::{Fault, VcpuState},
    gdb::{self, Debugger},
    guest_exit::GuestExit,
    statistics,
};

/// What the loop has to know of a guest: in this a bare program and Linux differ.
pub trait GuestKind {
    /// How its buses hold their devices.
    type DeviceCell: DeviceCell;

    /// Counts an exit.
    fn count(&mut self, reason: ExitReason);

    /// What was counted; it is counted anew from here on.
    fn take_counts(&mut self) -> ExitCounts;

    /// What it means that the processor halted; `None` if its machine has interrupt controllers,
    /// with which KVM answers `hlt` itself.
    fn halted(&mut self, cpu: &VcpuFd) -> Option<Result<GuestExit>>;

    /// Somebody has kicked the processor out of `KVM_RUN`, where it is not needed for an end alone.
    fn kicked(&mut self, cpu: &VcpuFd, handle: &Handle);
}

/// A processor, and all that it runs with.
pub struct RunLoop<'a, G: GuestKind> {
    cpu: VcpuFd,
    buses: &'a Buses<G::DeviceCell>,
    handle: &'a Handle,
    /// While there is one.
    debugger: Option<Debugger>,
    exit_trace: ExitTrace,
    guest: G,
    /// CPU time of the thread when the guest was entered.
    entered: Duration,
}

/// What a processor's thread brings back.
pub struct VcpuResult {
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

impl<'a, G: GuestKind> RunLoop<'a, G> {
    /// The loop of `cpu`, which is one of the processors of `guest`.
    pub fn new(
        cpu: VcpuFd,
        buses: &'a Buses<G::DeviceCell>,
        handle: &'a Handle,
        debugger: Option<Debugger>,
        exit_trace: ExitTrace,
        guest: G,
    ) -> Self {
        Self { cpu, buses, handle, debugger, exit_trace, guest, entered: Duration::ZERO }
    }

    /// Lets the processor run until the guest has come to its end, which its [`Handle`] then has.
    ///
    /// A guest that is frozen can go on later. So its processor has to complete what it is about:
    /// the answer to an `in` is taken when `KVM_RUN` is called again, and the kick has seen to it
    /// that this call does nothing beyond that.
    pub fn run(&mut self) {
        let handle = self.handle;
        handle.reach(Milestone::Entered);
        self.debug(gdb::begin);
        self.entered = cpu_time();
        let mut complete = false;
        while !handle.has_ended() || handle.is_frozen() && !complete {
            let exit = self.cpu.run();
            complete = exit.is_err();
            let began = self.exit_trace.now();
            let (reason, device) = match exit {
                Ok(VcpuExit::IoOut(port, data)) => {
                    (ExitReason::Out { port }, self.buses.ports.write_port(port, data))
                }
                Ok(VcpuExit::IoIn(port, data)) => {
                    (ExitReason::In { port }, self.buses.ports.read_port(port, data))
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    (ExitReason::MmioWrite { address }, self.buses.memory.write(address, data))
                }
                Ok(VcpuExit::MmioRead(address, data)) => {
                    (ExitReason::MmioRead { address }, self.buses.memory.read(address, data))
                }
                Ok(VcpuExit::Hlt) => match self.guest.halted(&self.cpu) {
                    Some(end) => {
                        end.map_or_else(|error| handle.fail(error), |end| handle.give(end));
                        (ExitReason::Halt, Some("the end"))
                    }
                    None => self.broke_off(Fault::of(&VcpuExit::Hlt)),
                },
                Ok(VcpuExit::Shutdown) => {
                    handle.give(GuestExit::Fault(Fault::TripleFault));
                    (ExitReason::TripleFault, None)
                }
                Ok(VcpuExit::InternalError) => {
                    let fault = Fault::internal(self.cpu.get_kvm_run());
                    self.broke_off(fault)
                }
                Ok(VcpuExit::Debug(_)) => {
                    self.debug(gdb::trapped);
                    continue;
                }
                // Kicked, or a processor that nobody has started yet.
                Err(errno) if matches!(errno.errno(), libc::EINTR | libc::EAGAIN) => {
                    self.kicked();
                    continue;
                }
                Err(errno) => {
                    handle.fail(Error::kvm("KVM_RUN")(errno));
                    break;
                }
                Ok(other) => {
                    let fault = Fault::of(&other);
                    self.broke_off(fault)
                }
            };
            self.guest.count(reason.clone());
            if let Some(breach) = cell::breach() {
                handle.fail(Error::Breach(breach));
            }
            self.exit_trace.record(began, reason, device);
        }
        handle.end();
    }

    /// The guest is at its end by a `fault`.
    fn broke_off(&self, fault: Fault) -> (ExitReason, Option<&'static str>) {
        let name = fault.name();
        self.handle.give(GuestExit::Fault(fault));
        (ExitReason::Other(name.into()), None)
    }

    fn kicked(&mut self) {
        // Before the end is looked for, so that no kick for an end is undone.
        self.cpu.set_kvm_immediate_exit(0);
        if !self.handle.has_ended() {
            self.debug(gdb::interrupted);
        }
        self.guest.kicked(&self.cpu, self.handle);
    }

    fn debug(&mut self, what: fn(&mut Option<Debugger>, &mut VcpuFd, &Handle) -> Result<()>) {
        if let Err(error) = what(&mut self.debugger, &mut self.cpu, self.handle) {
            self.handle.fail(error);
        }
    }

    /// The debugger that has stayed to the end.
    pub fn take_debugger(&mut self) -> Option<Debugger> {
        self.debugger.take()
    }

    /// Gives the processor back, with what is known of its run.
    pub fn finish(mut self) -> (VcpuFd, VcpuResult) {
        let exit_counts = self.guest.take_counts();
        let vcpu_state = VcpuState::of(&self.cpu, &exit_counts);
        let exits = statistics::of(&self.cpu, "exits");
        let cpu_time = cpu_time().saturating_sub(self.entered);
        let exit_trace = self.exit_trace;
        (self.cpu, VcpuResult { vcpu_state, exit_counts, cpu_time, exit_trace, exits })
    }
}
