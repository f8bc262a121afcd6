//! One worker, wherever it runs, and the clock by which it tells the time.

use std::{
    collections::BTreeSet,
    fs, io, thread,
    time::{Duration, Instant},
};

use guest::abi::{RECORD_PAIRS, Word};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use sandbox::{Builtin, Instance, Mailbox, Native, Sandbox, Workload, monotonic_now};

use super::{counted::Count, row::stretches};
use crate::{Error, Result};

/// A pause in one's own running is a gap from here on: longer than an interrupt, shorter than a
/// slice.
const GAP: Duration = Duration::from_micros(200);
/// The limit for a worker to start.
const START_TIMEOUT: Duration = Duration::from_secs(2);
/// No worker outlives this, whatever becomes of its demonstration.
const LONGEST: Duration = Duration::from_secs(3600);

/// The time stamp counter, by which workers tell the time: its ticks in a nanosecond, and a moment
/// on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) rate: f64,
    moment: (u64, Duration),
}

impl Clock {
    /// Measured by a program that reads both clocks when it begins and when it ends.
    pub(super) fn measure() -> Result<Self> {
        let clock = Native.clocks()?.map(|(rate, report)| Self {
            rate: rate / 1e9,
            moment: (report.begin_ticks, report.begin_time),
        });
        let unknown = || io::Error::other("the rate of the time stamp counter is not known");
        clock.ok_or_else(unknown).map_err(Error::system("measure the clock"))
    }

    pub(super) fn ticks(self, time: Duration) -> u64 {
        (time.as_nanos() as f64 * self.rate) as u64
    }

    pub(super) fn now(self) -> u64 {
        self.moment.0 + self.ticks(monotonic_now().saturating_sub(self.moment.1))
    }
}

/// A running worker.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) count: Count,
    /// The tick at which it was started.
    began: u64,
    /// How far its own counter is ahead of the host's: a guest's may begin at zero.
    ahead: i64,
    instance: Box<dyn Instance>,
}

impl Worker {
    /// Starts one.
    pub(super) fn start(sandbox: &dyn Sandbox, name: String, clock: Clock) -> Result<Self> {
        let arguments = [LONGEST, GAP].map(|time| clock.ticks(time));
        let workload = Workload::builtin(Builtin::Slices, &arguments).deadline(LONGEST);
        let before = virtual_processors();
        let began = clock.now();
        let instance = sandbox.spawn(&workload)?;
        let thread = match instance.processes().first() {
            Some(process) => *process,
            None => new_virtual_processor(&before)?,
        };
        let count = Count::of(thread, sandbox.name() == "container");
        Ok(Self { name, count, began, ahead: 0, instance })
    }

    /// Leaves it these processors only.
    pub(super) fn pin(&self, processors: &CpuSet) -> Result<()> {
        sched_setaffinity(Pid::from_raw(self.thread().cast_signed()), processors)
            .map_err(|errno| Error::system("pin a worker")(errno.into()))
    }

    /// Whether it has looked at its clock; the first time that it has, this finds out how far that
    /// one is ahead of the host's.
    pub(super) fn set_clock(&mut self, clock: Clock) -> bool {
        let mailbox = self.instance.mailbox();
        let first = mailbox.map_or(0, |mailbox| mailbox.word(Word::BeginTicks as usize));
        let now = clock.now();
        // It looked after it was started and before it was seen, if this is the same clock.
        if first != 0 && !(self.began..=now).contains(&first) {
            self.ahead = first.wrapping_sub(now).cast_signed();
        }
        first != 0
    }

    /// Ends it without waiting for its end, which comes when it is dropped.
    pub(super) fn kill(&self) {
        self.instance.control().kill();
    }

    /// Its thread, as the kernel numbers it.
    pub(super) fn thread(&self) -> u32 {
        self.count.thread()
    }

    /// The ticks at which it ran, by its own clock. It writes a gap down when that is over, and the
    /// latest tick all the time, so its last stretch ends where it stopped running.
    pub(super) fn ran(&self) -> Vec<(u64, u64)> {
        let Some(mailbox) = self.instance.mailbox() else { return Vec::new() };
        // Before the gaps: one that is written down in between begins no earlier.
        let latest = mailbox.word(Word::EndTicks as usize);
        let report = mailbox.report();
        if report.begin_ticks == 0 {
            return Vec::new();
        }
        let host = |tick: u64| tick.wrapping_sub_signed(self.ahead);
        let gaps = report.records.iter().map(|(last, first)| (host(*last), host(*first)));
        stretches((host(report.begin_ticks), host(latest)), gaps)
    }

    /// Whether the memory into which it writes is almost full.
    pub(super) fn is_full(&self) -> bool {
        let count = |mailbox: &Mailbox| mailbox.word(Word::Count as usize);
        self.instance.mailbox().map_or(0, count) + 64 > RECORD_PAIRS as u64
    }
}

/// Waits until every one of them, virtual processors, has looked at its clock.
pub(super) fn set_clocks(workers: &mut [Worker], clock: Clock) -> Result<()> {
    let began = Instant::now();
    let mut waiting: Vec<&mut Worker> = workers.iter_mut().collect();
    while !waiting.is_empty() {
        waiting.retain_mut(|worker| !worker.set_clock(clock));
        if began.elapsed() > START_TIMEOUT {
            return Err(Error::system("wait for the workers")(io::ErrorKind::TimedOut.into()));
        }
        thread::sleep(Duration::from_micros(20));
    }
    Ok(())
}

/// The virtual processor that was not there `before`, a thread of ours: it gives itself its name
/// when it begins.
fn new_virtual_processor(before: &BTreeSet<u32>) -> Result<u32> {
    let began = Instant::now();
    loop {
        if let Some(new) = virtual_processors().difference(before).next() {
            return Ok(*new);
        }
        if began.elapsed() > START_TIMEOUT {
            return Err(Error::system("find the virtual processor")(
                io::ErrorKind::TimedOut.into(),
            ));
        }
        thread::sleep(Duration::from_micros(20));
    }
}

/// The threads of this process that are virtual processors.
fn virtual_processors() -> BTreeSet<u32> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let is_virtual = |entry: &fs::DirEntry| {
        fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.starts_with("vcpu"))
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    threads.filter(is_virtual).filter_map(number).collect()
}
