//! What the kernel counts, to compare the workers' own clocks with: CPU time, and the periods of a
//! quota.

use std::{collections::VecDeque, fs, time::Duration};

use container::{CpuStat, CpuStatFile};
use serde::{Deserialize, Serialize};

/// Where the kernel's count of CPU time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// `/proc/PID/task/TID/schedstat`, first field: nanoseconds on the processor.
    Schedstat,
    /// `usage_usec` of the cgroup's `cpu.stat`, version 2.
    CpuStat,
}

impl Counter {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Schedstat => "schedstat",
            Self::CpuStat => "cpu.stat",
        }
    }
}

/// What a quota did in the second that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Throttled {
    /// Periods in which the program wanted to run (`nr_periods`).
    pub periods: u64,
    /// Those in which its quota was used up (`nr_throttled`).
    pub throttled: u64,
    /// How long it was throttled, in milliseconds.
    pub milliseconds: f32,
}

/// What was counted at a moment, a tick of the time stamp counter.
#[derive(Clone, Copy)]
struct Sample {
    tick: u64,
    ran: Duration,
    stat: Option<CpuStat>,
}

/// The counts of one worker's thread during the last second or so.
pub(super) struct Count {
    thread: u32,
    /// Of the cgroup, if it has one of its own.
    cgroup: Option<CpuStatFile>,
    counter: Counter,
    samples: VecDeque<Sample>,
}

impl Count {
    pub(super) fn of(thread: u32, in_cgroup: bool) -> Self {
        let cgroup = in_cgroup.then(|| CpuStatFile::of(thread).ok()).flatten();
        Self { thread, cgroup, counter: Counter::Schedstat, samples: VecDeque::new() }
    }

    pub(super) fn thread(&self) -> u32 {
        self.thread
    }

    pub(super) fn counter(&self) -> Counter {
        self.counter
    }

    /// Takes a sample at `tick`, and drops those older than `left` except the newest of them.
    pub(super) fn take(&mut self, tick: u64, left: u64) {
        let stat = self.cgroup.as_ref().and_then(|file| file.read().ok());
        let used = stat.and_then(|stat| stat.usage);
        self.counter = if used.is_some() { Counter::CpuStat } else { Counter::Schedstat };
        let Some(ran) = used.or_else(|| on_processor(self.thread)) else { return };
        self.samples.push_back(Sample { tick, ran, stat });
        while self.samples.get(1).is_some_and(|second| second.tick <= left) {
            self.samples.pop_front();
        }
    }

    /// The first and the last tick between which it is known.
    pub(super) fn window(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        (first.tick < last.tick).then_some((first.tick, last.tick))
    }

    /// How long the worker ran in that time.
    pub(super) fn ran(&self) -> Option<Duration> {
        Some(self.samples.back()?.ran.saturating_sub(self.samples.front()?.ran))
    }

    pub(super) fn throttled(&self) -> Option<Throttled> {
        let (first, last) = (self.samples.front()?.stat?, self.samples.back()?.stat?);
        let time = last.throttled_time.saturating_sub(first.throttled_time);
        Some(Throttled {
            periods: last.periods - first.periods,
            throttled: last.throttled - first.throttled,
            milliseconds: time.as_secs_f32() * 1e3,
        })
    }
}

/// How long a thread of any process was on a processor (proc_pid_schedstat(5), first field).
fn on_processor(thread: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{thread}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
