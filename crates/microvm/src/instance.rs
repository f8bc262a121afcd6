//! A guest that is running: its thread, and those who wait for it.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use kvm_ioctls::VcpuFd;
use sandbox::{
    Capture, Control, Instance, Mailbox, Milestone, Outcome, Status, Stdio, Timeline, Trace, Usage,
    Written,
};

use crate::{
    NAME,
    cell::{self, Role},
    control::{Handle, WaitOptions},
    cpu_time::cpu_time,
    devices::bare::Devices,
    error::{Error, Result},
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    exits::RunLoop,
    fault::{GuestFault, VcpuState},
    gdb::{self, Debugger, Debugging},
    guest_exit::GuestExit,
    machine::Machine,
    memory::Memory,
    run::BareProgram,
    shared_memory::SharedMemory,
};

/// All that a guest needs to run.
pub(crate) struct Guest {
    // Dropped in this order: the CPU holds its machine, the machine its memory and its device.
    pub cpu: VcpuFd,
    pub machine: Machine,
    /// A device that is passed through to it.
    pub device: Option<SharedMemory>,
    pub stdio: Stdio,
    /// Its exits, as far as they are traced.
    pub exit_trace: ExitTrace,
    /// CPU time that making the machine took.
    pub spent: Duration,
    /// Where a debugger may come, and how wide it is told that the processor is.
    pub debugger: Option<(Arc<gdb::Listener>, gdb::Width)>,
}

/// What a guest's thread brings back.
struct Finished {
    end: Result<GuestExit>,
    vcpu_state: VcpuState,
    output: Vec<u8>,
    usage: Usage,
    trace: Trace,
}

/// A guest in its thread.
pub(crate) struct BareInstance {
    thread: Option<JoinHandle<Finished>>,
    handle: Arc<Handle>,
    deadline: Option<Duration>,
}

impl BareInstance {
    /// Starts the guest in a thread of its own: this is its virtual CPU.
    pub fn start(guest: Guest, handle: Handle, deadline: Option<Duration>) -> Result<Self> {
        let handle = Arc::new(handle);
        let shared = handle.clone();
        let thread = thread::Builder::new()
            .name("vcpu0".into())
            .spawn(move || {
                let finished = guest.run(&shared);
                shared.finish();
                finished
            })
            .map_err(Error::system::<std::io::Error>("start the thread of the virtual CPU"))?;
        Ok(Self { thread: Some(thread), handle, deadline })
    }

    fn join(&mut self) -> Option<Finished> {
        match self.thread.take()?.join() {
            Ok(finished) => Some(finished),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Guest {
    fn run(mut self, handle: &Arc<Handle>) -> Finished {
        let memory = self.machine.memory().expect("a machine gets its memory before its CPU");
        let memory = memory.clone();
        let devices = Devices::new(self.stdio, &memory, handle);
        let debugger = self.begin(&memory, handle).unwrap_or_else(|error| {
            handle.fail(error);
            None
        });
        let program = BareProgram { memory, exit_counts: ExitCounts::default() };
        let (cpu, exit_trace) = (self.cpu, self.exit_trace);
        let mut run_loop = RunLoop::new(cpu, &devices.buses, handle, debugger, exit_trace, program);
        run_loop.run();
        let end = end(handle);
        if let Some(debugger) = run_loop.take_debugger() {
            debugger.ended(&end);
        }
        handle.reach(Milestone::Exited);
        let (cpu, mut vcpu) = run_loop.finish();
        let peak_memory_bytes = self.machine.memory().and_then(|memory| memory.resident_bytes());
        drop(cpu);
        let output = devices.into_output();
        let mut trace = self.machine.into_trace();
        drop(self.device);
        trace.entries.append(&mut vcpu.exit_trace.entries);
        let usage = Usage {
            cpu_time: Some(self.spent + cpu_time()),
            peak_memory_bytes,
            vm_exits_in_kernel: vcpu.exit_counts.in_kernel(vcpu.exits),
            vm_exits: vcpu.exit_counts.into_list(),
            ..Usage::default()
        };
        Finished { end, vcpu_state: vcpu.vcpu_state, output, usage, trace }
    }

    /// Waits for a debugger, if one is to come, and closes the cell.
    fn begin(&mut self, memory: &Arc<Memory>, handle: &Handle) -> Result<Option<Debugger>> {
        handle.begin(Some(&mut self.cpu));
        let debugger = match self.debugger.take() {
            Some((listener, width)) => {
                Debugging { listener, width, memory: memory.clone() }.wait(handle)?
            }
            None => None,
        };
        cell::enter(Role::Vcpu, &mut self.machine.trace()).map(|()| debugger)
    }
}

/// How the guest came to its end. One that got out of its cell has no other.
fn end(handle: &Handle) -> Result<GuestExit> {
    match cell::breach() {
        Some(breach) => Err(Error::Breach(breach)),
        None => handle.take_end().unwrap_or(Ok(GuestExit::Signaled(libc::SIGKILL))),
    }
}

impl Instance for BareInstance {
    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    fn control(&self) -> Arc<dyn Control> {
        self.handle.clone()
    }

    fn mailbox(&self) -> Option<&Mailbox> {
        self.handle.mailbox()
    }

    fn timeline(&self) -> Timeline {
        self.handle.timeline()
    }

    fn wait(mut self: Box<Self>) -> sandbox::Result<Outcome> {
        let started = self.timeline().started_at();
        let deadline = self.deadline.map(|after| started.saturating_add(after));
        self.handle.until_finished(WaitOptions { deadline, ..WaitOptions::default() });
        let finished = self.join().expect("waiting consumes the instance, so it is the first");
        self.handle.reach(Milestone::Cleaned);
        let written = Written { output: finished.output, errors: Vec::new() };
        let status = match self.judge(finished.end, finished.vcpu_state) {
            Ok(status) => status,
            Err(error) => return Err(error.after(written)),
        };
        let Written { output, errors } = written;
        Ok(Outcome {
            machine_end: None,
            status,
            output,
            errors,
            timeline: self.timeline(),
            usage: finished.usage,
            report: self.mailbox().map(Mailbox::report),
            trace: finished.trace,
        })
    }
}

impl BareInstance {
    /// What the guest's end means to the one who waited for it.
    fn judge(&self, end: Result<GuestExit>, vcpu_state: VcpuState) -> sandbox::Result<Status> {
        match end? {
            GuestExit::Exited(code) => Ok(Status::Exited(code)),
            // A bare machine has no such switches, and starts up with its first instruction.
            GuestExit::PowerOff
            | GuestExit::Reset
            | GuestExit::Halted
            | GuestExit::Frozen
            | GuestExit::NeverStartedUp => Ok(Status::Exited(0)),
            GuestExit::Signaled(signal) => Ok(Status::Signaled(signal)),
            GuestExit::Deadline => {
                let (after, source) = (self.deadline.unwrap_or_default(), Some(vcpu_state.into()));
                let written = Written::default();
                Err(sandbox::Error::Deadline { sandbox: NAME, after, source, written })
            }
            GuestExit::TooMuchOutput => {
                Err(sandbox::Error::TooMuchOutput { sandbox: NAME, limit: Capture::LIMIT })
            }
            GuestExit::Fault(fault) => Err(Error::from(GuestFault { fault, vcpu_state }).into()),
        }
    }
}

impl Drop for BareInstance {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.give(GuestExit::Signaled(libc::SIGKILL));
            self.handle.until_finished(WaitOptions::default());
            self.join();
        }
    }
}
