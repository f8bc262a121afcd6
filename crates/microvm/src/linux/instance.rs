//! A Linux guest that is running: a thread for each processor, one for the machine, and those who
//! wait for them.

use std::{
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use guest::plan::{InitPlan, Report};
use host::TerminalMode;
use kvm_ioctls::VcpuFd;
use sandbox::{
    Capture, Control, Error as SandboxError, Event, Instance, MachineEnd, Mailbox, Milestone,
    Outcome, Question, Status, Timeline, Trace, Usage, Written,
};

use vmm_sys_util::eventfd::EventFd;

use super::{
    DISPLAY_NAME,
    failure::{FailureCause, GuestFailure, LastSeen},
    hardware::Hardware,
    monitor::{self, Metrics, Monitor, Savable, Tallies},
    recipe::{Recipe, Unsaveable},
    run::{LinuxProcessor, run},
    saving::Saving,
};
use crate::{
    cell::{self, Role},
    control::{Handle, WaitOptions},
    devices::bus::Buses,
    error::{Error, Result},
    exit_counts::ExitCounts,
    exit_trace::ExitTrace,
    exits::VcpuResult,
    gdb::{self, Debugging, Width},
    guest_exit::GuestExit,
    machine::Machine,
    snapshot::cpu,
};

/// All that a guest needs to run.
pub struct Guest {
    // Dropped in this order: the processors hold their machine, the machine its memory.
    pub cpus: Vec<VcpuFd>,
    pub machine: Machine,
    pub hardware: Hardware,
    /// How many of its exits are traced.
    pub exit_trace: ExitTrace,
    /// The launcher's terminal, while the guest has its keys.
    pub terminal: Option<TerminalMode>,
    /// Where it is to be saved, if it is.
    pub saving: Option<Saving>,
    /// CPU time that making the machine took.
    pub spent: Duration,
    /// What the user has added to its kernel's command line.
    pub own_words: String,
    /// Where others may ask.
    pub control: Option<Arc<UnixListener>>,
    /// Where a debugger may come.
    pub debugger: Option<Arc<gdb::Listener>>,
    /// How to build its machine again, should it be saved while it runs.
    pub recipe: Result<Recipe, Unsaveable>,
}

/// How long a guest may take, from its start.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// To its end.
    pub deadline: Option<Duration>,
    /// Until it is up.
    pub start_up: Option<Duration>,
}

/// What a guest's threads bring back.
struct Finished {
    end: Result<GuestExit>,
    /// What the first process said of the end.
    report: Option<Report>,
    init: Option<InitPlan>,
    last_seen: LastSeen,
    panic: Option<String>,
    written: Written,
    usage: Usage,
    trace: Trace,
}

/// A guest in its threads.
pub struct LinuxInstance {
    thread: Option<JoinHandle<Finished>>,
    handle: Arc<Handle>,
    times: Times,
    saved: Arc<AtomicBool>,
    /// What the user has added to the kernel's command line.
    own_words: String,
}

impl LinuxInstance {
    /// Starts the guest: a thread for the machine, which starts one for each processor, and frees all
    /// that the guest held when they have ended.
    pub fn start(guest: Guest, handle: Arc<Handle>, times: Times) -> Result<Self> {
        let (shared, saved) = (handle.clone(), Arc::new(AtomicBool::new(false)));
        let saved_then = saved.clone();
        let own_words = guest.own_words.clone();
        let thread = named("machine".into(), move || {
            let finished = guest.run(&shared, &saved_then);
            shared.finish();
            finished
        })?;
        Ok(Self { thread: Some(thread), handle, times, saved, own_words })
    }

    /// Becomes true once the guest has been saved.
    pub fn saved(&self) -> Arc<AtomicBool> {
        self.saved.clone()
    }

    fn join(&mut self) -> Option<Finished> {
        self.thread.take().map(joined)
    }
}

/// Starts a thread.
fn named<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let call = "start a thread of the machine";
    let thread = thread::Builder::new().name(name).spawn(work);
    thread.map_err(Error::system::<std::io::Error>(call))
}

fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Guest {
    fn run(mut self, handle: &Arc<Handle>, saved: &AtomicBool) -> Finished {
        let cpus = std::mem::take(&mut self.cpus);
        cell::take_own_signals_only();
        // A guest that is saved is written to files, which no cell lets anybody open.
        let stays_open = self.saving.is_some();
        let channel = self.hardware.channel.take();
        let tallies = Tallies::of(cpus.len());
        let begun = Monitor::new(channel, self.control.take(), handle).and_then(|monitor| {
            let bell = monitor.bell()?;
            let buses = self.hardware.buses.clone();
            let exit_trace = self.exit_trace.clone();
            let handle = handle.clone();
            let debugging = self.debugger.take().zip(self.machine.memory().cloned());
            let debugging = debugging.map(|(listener, memory)| {
                Arc::new(Debugging { listener, width: Width::Bits64, memory })
            });
            let parts = Arc::new(cpu::Parts::of(&self.machine)?);
            let processors =
                Processors { buses, handle, exit_trace, tallies, bell, debugging, parts };
            Ok((monitor, processors))
        });
        let (mut cpus, mut ran) = (cpus, Vec::new());
        match begun {
            Err(error) => handle.fail(error),
            Ok((mut monitor, processors)) => {
                (cpus, ran) = self.run_all(cpus, &processors, &mut monitor, !stays_open);
                if handle.is_frozen() {
                    self.freeze(&cpus, handle, saved);
                    let (back, again) = self.run_all(cpus, &processors, &mut monitor, false);
                    cpus = back;
                    ran.extend(again);
                }
            }
        }
        let at_the_end = ran.len().saturating_sub(cpus.len());
        drop(cpus);
        handle.reach(Milestone::Exited);
        let peak_memory_bytes = self.machine.memory().and_then(|memory| memory.resident_bytes());
        // The devices' thread has passed on all that it was given when it ends.
        drop(self.hardware.events.take());
        drop(self.terminal.take());
        let log = self.hardware.console.finish();
        // What is left may have to wait for somebody to read it, and the deadline still holds.
        handle.begin(None);
        let written = self.hardware.written();
        handle.end();
        let (report, init) = (self.hardware.reports.end(), self.hardware.init.take());
        if let Some(words) = self.hardware.balloon_words() {
            // The step took no time of the host's: it was the guest who worked.
            self.machine.trace().record(Question::Budget, Event::note(words), || ());
        }
        drop(self.hardware);
        let mut trace = self.machine.into_trace();
        let end = handle.take_end().unwrap_or(Ok(GuestExit::Signaled(libc::SIGKILL)));
        let mut exit_counts = ExitCounts::default();
        let mut cpu_time = self.spent;
        let mut processors = Vec::new();
        let mut exits = Some(0);
        let before = trace.entries.len();
        for (number, mut each) in ran.into_iter().enumerate() {
            trace.entries.append(&mut each.exit_trace.entries);
            exit_counts.add(each.exit_counts);
            cpu_time += each.cpu_time;
            // KVM has counted from the start, also for one that was frozen in between.
            if number >= at_the_end {
                exits = exits.zip(each.exits).map(|(some, more)| some + more);
                processors.push(each.vcpu_state);
            }
        }
        trace.entries[before..].sort_by_key(|entry| entry.began);
        let usage = Usage {
            cpu_time: Some(cpu_time),
            peak_memory_bytes,
            vm_exits_in_kernel: exit_counts.in_kernel(exits),
            vm_exits: exit_counts.into_list(),
            out_of_memory: None,
        };
        let last_seen = LastSeen { processors, console: log.lines };
        let panic = log.panic;
        Finished { end, report, init, last_seen, panic, written, usage, trace }
    }
}

impl Guest {
    /// The guest stands still where it may be saved: saves it, and lets it go on or ends it.
    fn freeze(&self, cpus: &[VcpuFd], handle: &Handle, saved: &AtomicBool) {
        let Some(saving) = &self.saving else { return handle.thaw() };
        match saving.save(cpus, &self.machine, &self.hardware) {
            Err(error) => handle.fail(error),
            Ok(()) => {
                saved.store(true, Ordering::Release);
                match saving.resumes {
                    true => handle.thaw(),
                    false => handle.give(GuestExit::Exited(0)),
                }
            }
        }
    }
}

/// What the threads of all processors share.
struct Processors {
    buses: Arc<Buses>,
    handle: Arc<Handle>,
    exit_trace: ExitTrace,
    tallies: Tallies,
    /// Rung when one of them is through.
    bell: EventFd,
    /// Where a debugger of the one processor may come.
    debugging: Option<Arc<Debugging>>,
    /// What of their state can be saved.
    parts: Arc<cpu::Parts>,
}

/// Counts a thread that is through, however it ends, and rings the bell.
struct Through(Arc<AtomicUsize>, EventFd);

impl Drop for Through {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
        // It fails only when the counter is full, and then the bell is heard.
        let _ = self.1.write(1);
    }
}

impl Processors {
    /// Starts the thread of a processor, which does not run before the gate opens.
    fn start(
        &self,
        (number, cpu): (usize, VcpuFd),
        gate: &Arc<Mutex<()>>,
        through: &Arc<AtomicUsize>,
    ) -> Result<JoinHandle<(VcpuFd, VcpuResult)>> {
        let (buses, handle, exit_trace) =
            (self.buses.clone(), self.handle.clone(), self.exit_trace.clone());
        let tally = self.tallies.of_processor(number);
        let (debugging, parts) = (self.debugging.clone(), self.parts.clone());
        let bell = self.bell.try_clone().map_err(Error::system("duplicate an eventfd"))?;
        let (gate, through) = (gate.clone(), Through(through.clone(), bell));
        named(format!("vcpu{number}"), move || {
            let _through = through;
            drop(gate.lock());
            run(
                cpu,
                &buses,
                &handle,
                LinuxProcessor { tally: &tally, parts: &parts },
                debugging.as_deref(),
                exit_trace,
            )
        })
    }
}

impl Guest {
    /// Runs each processor in a thread of its own, until all have stopped, and does what the monitor
    /// does meanwhile: in its cell, if it `is_closed`.
    fn run_all(
        &mut self,
        cpus: Vec<VcpuFd>,
        processors: &Processors,
        monitor: &mut Monitor,
        is_closed: bool,
    ) -> (Vec<VcpuFd>, Vec<VcpuResult>) {
        let handle = &processors.handle;
        let mut threads = Vec::new();
        let through = Arc::<AtomicUsize>::default();
        // None of them runs the guest before this thread is where it is to be.
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        handle.expect(cpus.len());
        for processor in cpus.into_iter().enumerate() {
            match processors.start(processor, &gate, &through) {
                Ok(thread) => threads.push(thread),
                Err(error) => handle.fail(error),
            }
        }
        if is_closed && let Err(error) = cell::enter(Role::Control, &mut self.machine.trace()) {
            handle.fail(error);
        }
        drop(closed);
        let metrics = Metrics {
            tallies: &processors.tallies,
            memory: self.machine.memory().map(Arc::as_ref),
            hardware: &self.hardware,
        };
        let all = threads.len();
        let savable = Savable { recipe: self.recipe.as_ref(), machine: &self.machine };
        let machine = monitor::Machine { handle, metrics: &metrics, savable };
        monitor.run_until(machine, || through.load(Ordering::Acquire) == all);
        threads.into_iter().map(joined).unzip()
    }
}

impl Instance for LinuxInstance {
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
        let instant = |after: Option<Duration>| after.map(|after| started.saturating_add(after));
        let (deadline, start_up) = (instant(self.times.deadline), instant(self.times.start_up));
        self.handle.until_finished(WaitOptions { deadline, start_up, watches_halt: true });
        let mut finished = self.join().expect("waiting consumes the instance, so it is the first");
        self.handle.reach(Milestone::Cleaned);
        let (status, machine_end) = match self.judge(&mut finished) {
            Ok(end) => end,
            Err(error) => return Err(error.after(finished.written)),
        };
        let Written { output, errors } = finished.written;
        Ok(Outcome {
            status,
            machine_end,
            output,
            errors,
            timeline: self.timeline(),
            usage: finished.usage,
            report: self.mailbox().map(Mailbox::report),
            trace: finished.trace,
        })
    }
}

impl LinuxInstance {
    /// What the guest's end means to the one who waited for it.
    fn judge(&self, finished: &mut Finished) -> sandbox::Result<(Status, Option<MachineEnd>)> {
        let status = |status| Ok((status, None));
        let end = std::mem::replace(&mut finished.end, Ok(GuestExit::PowerOff));
        let end = end.map_err(|error| error.into_sandbox_error(DISPLAY_NAME))?;
        let last_seen = std::mem::take(&mut finished.last_seen);
        let cause = match (end, finished.panic.take()) {
            (GuestExit::Reset | GuestExit::Halted, Some(words)) => FailureCause::Panicked(words),
            // Who froze it lets it go on or gives it another end.
            (GuestExit::Frozen, _) => return status(Status::Exited(0)),
            (GuestExit::Exited(code), _) => match finished.report {
                None | Some(Report::Ready) => return status(Status::Exited(code)),
                Some(Report::Exited(code)) => return status(Status::Exited(code)),
                Some(Report::Signaled(signal)) => return status(Status::Signaled(signal.into())),
                Some(Report::Failed { step, errno }) => finished.stuck(step, errno)?,
            },
            (GuestExit::Signaled(signal), _) => return status(Status::Signaled(signal)),
            (GuestExit::PowerOff, _) => return Ok((Status::Exited(0), Some(MachineEnd::PowerOff))),
            // Before isolab's own first process was through, nobody can have asked for it.
            (GuestExit::Halted, None)
                if finished.init.is_some() && !self.handle.is_started_up() =>
            {
                FailureCause::Halted
            }
            (GuestExit::Halted, None) => return Ok((Status::Exited(0), Some(MachineEnd::Halt))),
            // As of a container whose first process restarts the machine: reboot(2).
            (GuestExit::Reset, None) => {
                return Ok((Status::Signaled(libc::SIGHUP), Some(MachineEnd::Restart)));
            }
            (GuestExit::Deadline, _) => {
                let after = self.times.deadline.unwrap_or_default();
                let (source, written) = (Some(last_seen.into()), Written::default());
                return Err(SandboxError::Deadline {
                    sandbox: DISPLAY_NAME,
                    after,
                    source,
                    written,
                });
            }
            (GuestExit::TooMuchOutput, _) => {
                let limit = Capture::LIMIT;
                return Err(SandboxError::TooMuchOutput { sandbox: DISPLAY_NAME, limit });
            }
            (GuestExit::NeverStartedUp, _) => {
                FailureCause::NeverStartedUp(self.times.start_up.unwrap_or_default())
            }
            (GuestExit::Fault(fault), _) => FailureCause::Fault(fault),
        };
        // Once it was up, it is the command's doing.
        let own_words = match self.handle.is_started_up() {
            true => String::new(),
            false => self.own_words.clone(),
        };
        Err(Error::GuestFailure(GuestFailure { cause, last_seen, own_words })
            .into_sandbox_error(DISPLAY_NAME))
    }
}

impl Finished {
    /// What a step that failed means: the command could not be run, or something before it.
    fn stuck(&self, step: usize, errno: i32) -> sandbox::Result<FailureCause> {
        let step = self.init.as_ref().and_then(|plan| plan.step(step)).unwrap_or("its plan");
        let Some(command) = step.strip_prefix("run ") else {
            return Ok(FailureCause::Stuck { step: step.to_owned(), errno });
        };
        let program = PathBuf::from(command.split(' ').next().unwrap_or_default());
        let sandbox = DISPLAY_NAME;
        Err(match errno {
            libc::ENOENT | libc::ENOTDIR => SandboxError::NotFound {
                sandbox,
                program,
                fix: "a script or a dynamic program also needs its interpreter in the guest's root"
                    .into(),
            },
            errno => {
                let source = std::io::Error::from_raw_os_error(errno).into();
                SandboxError::NotExecutable { sandbox, program, source }
            }
        })
    }
}

impl Drop for LinuxInstance {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.give(GuestExit::Signaled(libc::SIGKILL));
            self.handle.until_finished(WaitOptions::default());
            self.join();
        }
    }
}
