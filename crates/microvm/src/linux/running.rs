//! A Linux guest that is running: a thread for each processor, and those who wait for them.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use kvm_ioctls::VcpuFd;
use sandbox::{
    Capture, Control, Error as SandboxError, Instance, Mailbox, Milestone, Outcome, Status, Story,
    Timeline, Usage, Written,
};

use super::{
    TOLD_AS,
    console::Said,
    ended::{Ended, LastSeen, Wrong},
    hardware::Hardware,
    run::{Buses, Ran, run},
};
use crate::{
    control::{Handle, Patience},
    crossings::Crossings,
    error::{Error, Result},
    exits::End,
    machine::Machine,
};

/// All that a guest needs to run.
pub struct Guest {
    // Dropped in this order: the processors hold their machine, the machine its memory.
    pub cpus: Vec<VcpuFd>,
    pub machine: Machine,
    pub hardware: Hardware,
    pub story: Story,
    /// CPU time that making the machine took.
    pub spent: Duration,
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
    end: Result<End>,
    last_seen: LastSeen,
    said: Said,
    usage: Usage,
    story: Story,
}

/// A guest in its threads.
pub struct Running {
    thread: Option<JoinHandle<Finished>>,
    handle: Arc<Handle>,
    times: Times,
}

impl Running {
    /// Starts the guest: its first processor in a thread of its own, which starts the others'.
    pub fn start(guest: Guest, handle: Arc<Handle>, times: Times) -> Result<Self> {
        let shared = handle.clone();
        let thread = named(0, move || {
            let finished = guest.run(&shared);
            shared.finish();
            finished
        })?;
        Ok(Self { thread: Some(thread), handle, times })
    }

    fn join(&mut self) -> Option<Finished> {
        self.thread.take().map(joined)
    }
}

/// Starts the thread of processor `number`.
fn named<T: Send + 'static>(
    number: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let call = "start the thread of a virtual CPU";
    let thread = thread::Builder::new().name(format!("vcpu{number}")).spawn(work);
    thread.map_err(Error::system::<std::io::Error>(call))
}

fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Guest {
    fn run(mut self, handle: &Arc<Handle>) -> Finished {
        let cpus = std::mem::take(&mut self.cpus);
        let ran = run_all(cpus, &self.hardware.buses, handle, &mut self.story);
        handle.reach(Milestone::Exited);
        let peak_memory_bytes = self.machine.memory().and_then(|memory| memory.resident_bytes());
        let said = self.hardware.console.finish();
        drop(self.hardware);
        drop(self.machine);
        let end = handle.take_end().unwrap_or(Ok(End::Signaled(libc::SIGKILL)));
        let mut crossings = Crossings::default();
        let mut cpu_time = self.spent;
        let mut processors = Vec::new();
        for each in ran {
            crossings.add(each.crossings);
            cpu_time += each.cpu_time;
            processors.push(each.whereabouts);
        }
        let usage =
            Usage { cpu_time: Some(cpu_time), peak_memory_bytes, crossings: crossings.into_list() };
        let last_seen = LastSeen { processors, console: said.lines.clone() };
        Finished { end, last_seen, said, usage, story: self.story }
    }
}

/// Runs the first processor in this thread and the others in theirs, until all have stopped.
fn run_all(
    cpus: Vec<VcpuFd>,
    buses: &Arc<Buses>,
    handle: &Arc<Handle>,
    story: &mut Story,
) -> Vec<Ran> {
    let mut cpus = cpus.into_iter();
    let first = cpus.next();
    let mut others = Vec::new();
    for (number, cpu) in (1..).zip(cpus) {
        let (buses, shared) = (buses.clone(), handle.clone());
        let work = move || run(cpu, &buses, &shared, &mut Story::default());
        match named(number, work) {
            Ok(thread) => others.push(thread),
            Err(error) => handle.fail(error),
        }
    }
    let first = first.map(|cpu| run(cpu, buses, handle, story));
    first.into_iter().chain(others.into_iter().map(joined)).collect()
}

impl Instance for Running {
    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    fn control(&self) -> Arc<dyn Control> {
        self.handle.clone()
    }

    fn mailbox(&self) -> Option<&Mailbox> {
        None
    }

    fn timeline(&self) -> Timeline {
        self.handle.timeline()
    }

    fn wait(mut self: Box<Self>) -> sandbox::Result<Outcome> {
        let started = self.timeline().started_at();
        let instant = |after: Option<Duration>| after.map(|after| started.saturating_add(after));
        let (deadline, start_up) = (instant(self.times.deadline), instant(self.times.start_up));
        self.handle.until_finished(Patience { deadline, start_up });
        let finished = self.join().expect("waiting consumes the instance, so it is the first");
        self.handle.reach(Milestone::Cleaned);
        let written = Written { output: finished.said.output, errors: Vec::new() };
        let end = finished.end.map_err(|error| error.told_by(TOLD_AS));
        let judge = |end| self.judge(end, finished.last_seen, finished.said.panic);
        let status = match end.and_then(judge) {
            Ok(status) => status,
            Err(error) => return Err(error.after(written)),
        };
        let Written { output, errors } = written;
        Ok(Outcome {
            status,
            output,
            errors,
            timeline: self.timeline(),
            usage: finished.usage,
            report: None,
            story: finished.story,
        })
    }
}

impl Running {
    /// What the guest's end means to the one who waited for it.
    fn judge(
        &self,
        end: End,
        last_seen: LastSeen,
        panic: Option<String>,
    ) -> sandbox::Result<Status> {
        let wrong = match (end, panic) {
            (End::Exited(code), _) => return Ok(Status::Exited(code)),
            (End::Signaled(signal), _) => return Ok(Status::Signaled(signal)),
            (End::Reset, Some(words)) => Wrong::Panicked(words),
            (End::PowerOff, _) => return Ok(Status::Exited(0)),
            // As of a container whose first process restarts the machine: reboot(2).
            (End::Reset, None) => return Ok(Status::Signaled(libc::SIGHUP)),
            (End::Deadline, _) => {
                let after = self.times.deadline.unwrap_or_default();
                let (source, written) = (Some(last_seen.into()), Written::default());
                return Err(SandboxError::Deadline { sandbox: TOLD_AS, after, source, written });
            }
            (End::TooMuchOutput, _) => {
                let limit = Capture::LIMIT;
                return Err(SandboxError::TooMuchOutput { sandbox: TOLD_AS, limit });
            }
            (End::NeverStartedUp, _) => {
                Wrong::NeverStartedUp(self.times.start_up.unwrap_or_default())
            }
            (End::Strange(strange), _) => Wrong::Strange(strange),
        };
        Err(Error::Ended(Ended { wrong, last_seen }).told_by(TOLD_AS))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.give(End::Signaled(libc::SIGKILL));
            self.handle.until_finished(Patience::default());
            self.join();
        }
    }
}
