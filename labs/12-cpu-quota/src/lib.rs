//! Lab 12: a share of the CPU. The part that leads the student's functions.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

pub use lab::program::CgroupParents;
use lab::program::{Host, Trouble, run};
use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill, raise},
        wait::{WaitPidFlag, waitpid},
    },
    time::{ClockId, clock_gettime},
    unistd::{ForkResult, Pid, fork, getpid},
};

/// A cgroup: its directory, or on version 1 its two directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// 1 or 2.
    pub version: u8,
    /// Where quota and weight are.
    pub cpu: PathBuf,
    /// Where the CPU time is counted: on version 2 the same directory.
    pub cpuacct: PathBuf,
}

/// What the kernel has counted in a group since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// The CPU time that its processes have had.
    pub usage: Duration,
    /// In how many periods they were stopped, their quota being used up.
    pub throttled: u64,
}

/// The student's functions.
pub struct Answer {
    /// Makes a group.
    pub create: fn(&CgroupParents, &str) -> io::Result<Group>,
    /// Puts a process into it.
    pub attach: fn(&Group, Pid) -> io::Result<()>,
    /// Limits its CPU time in every period.
    pub set_quota: fn(&Group, Duration, Duration) -> io::Result<()>,
    /// Says what it gets of a CPU that others want too; 100 is the usual portion.
    pub set_weight: fn(&Group, u32) -> io::Result<()>,
    /// What the kernel has counted.
    pub stats: fn(&Group) -> io::Result<Stats>,
    /// The share of one CPU that was used between two looks.
    pub share: fn(&Stats, &Stats, Duration) -> f64,
    /// Takes the group away.
    pub remove: fn(&Group) -> io::Result<()>,
}

/// What the group uses before it has a limit.
const BEFORE: Duration = Duration::from_millis(100);
/// How long it is measured.
const MEASURED: Duration = Duration::from_millis(1000);

/// The program: one group with a quota, then three with weights.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let parents = host.cgroup_parents()?;
        let name = match host.argument("name") {
            "" => format!("lab12-{}", getpid()),
            name => name.to_owned(),
        };
        quota(host, answer, &parents, &name)?;
        weights(host, answer, &parents, &name)
    })
}

fn quota(host: &Host, answer: &Answer, parents: &CgroupParents, name: &str) -> Result<(), Trouble> {
    let set_quota = |group: &Group, quota, period| {
        let (quota, period) = (Duration::from_millis(quota), Duration::from_millis(period));
        host.step("set_quota", || (answer.set_quota)(group, quota, period))
    };
    let group = host.step("create", || (answer.create)(parents, name))?;
    let worker = host.step("make a worker", || Worker::start(BEFORE))?;
    host.say("worker", worker.0);
    host.step("attach", || (answer.attach)(&group, worker.0))?;
    host.step("let it run without a limit", || worker.run_until_it_stops())?;
    set_quota(&group, 20, 100)?;
    host.meet("limited");

    let before = host.step("stats", || (answer.stats)(&group))?;
    let began = Instant::now();
    host.step("let it run", || worker.go())?;
    sleep(MEASURED);
    host.step("stop it", || worker.halt())?;
    let wall = began.elapsed();
    let after = host.step("stats", || (answer.stats)(&group))?;
    host.say("wall", wall.as_nanos());
    host.say("usage-before", before.usage.as_nanos());
    host.say("usage-after", after.usage.as_nanos());
    host.say("throttled", after.throttled);
    host.say("share", format!("{:.4}", (answer.share)(&before, &after, wall)));
    host.meet("measured");

    set_quota(&group, host.number("quota", 31), host.number("period", 67))?;
    host.meet("limited anew");
    drop(worker);
    host.step("remove", || patiently(|| (answer.remove)(&group)))
}

fn weights(
    host: &Host,
    answer: &Answer,
    parents: &CgroupParents,
    name: &str,
) -> Result<(), Trouble> {
    let weight = host.number("weight", 100) as u32;
    let mut racers = Vec::new();
    for times in [1, 2, 4] {
        let name = format!("{name}-{times}");
        let group = host.step("create", || (answer.create)(parents, &name))?;
        let worker = host.step("make a worker", || Worker::start(Duration::ZERO))?;
        host.step("pin it", || worker.pin())?;
        host.step("set_weight", || (answer.set_weight)(&group, times * weight))?;
        host.step("attach", || (answer.attach)(&group, worker.0))?;
        host.say(&format!("racer-{times}"), worker.0);
        racers.push((group, worker));
    }
    host.meet("weighed");
    for (_, worker) in &racers {
        host.step("let it run", || worker.go())?;
    }
    // The check ends the race.
    host.meet("racing");
    for (group, worker) in racers {
        drop(worker);
        host.step("remove", || patiently(|| (answer.remove)(&group)))?;
    }
    Ok(())
}

/// A process that computes whenever it is let, and ends with its owner.
struct Worker(Pid);

impl Worker {
    /// Makes one that stands still; let go, it stops once by itself after so much CPU time, unless
    /// that is nothing.
    fn start(first: Duration) -> nix::Result<Self> {
        // SAFETY: this process has a single thread, so the child may do whatever it could do.
        match unsafe { fork() }? {
            ForkResult::Child => match compute(first) {
                Err(errno) => std::process::exit(errno as i32),
                Ok(never) => match never {},
            },
            ForkResult::Parent { child } => {
                let worker = Self(child);
                worker.wait_until_stopped()?;
                Ok(worker)
            }
        }
    }

    /// To the last CPU that there is; the first is the busiest on many machines.
    fn pin(&self) -> nix::Result<()> {
        let all = sched_getaffinity(self.0)?;
        let has = |cpu: &usize| all.is_set(*cpu).unwrap_or(false);
        let last = (0..CpuSet::count()).rev().find(has).unwrap_or(0);
        let mut one = CpuSet::new();
        one.set(last)?;
        sched_setaffinity(self.0, &one)
    }

    fn go(&self) -> nix::Result<()> {
        kill(self.0, Signal::SIGCONT)
    }

    fn halt(&self) -> nix::Result<()> {
        kill(self.0, Signal::SIGSTOP)?;
        self.wait_until_stopped()
    }

    fn run_until_it_stops(&self) -> nix::Result<()> {
        self.go()?;
        self.wait_until_stopped()
    }

    fn wait_until_stopped(&self) -> nix::Result<()> {
        waitpid(self.0, Some(WaitPidFlag::WUNTRACED)).map(drop)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is this process's child and not buried yet, so nobody else has its number.
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

fn compute(first: Duration) -> nix::Result<std::convert::Infallible> {
    set_pdeathsig(Signal::SIGKILL)?;
    raise(Signal::SIGSTOP)?;
    if !first.is_zero() {
        while Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?) < first {}
        raise(Signal::SIGSTOP)?;
    }
    loop {
        std::hint::spin_loop();
    }
}

/// A process that has just ended may be in its group for a moment yet.
fn patiently(remove: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for _ in 0..500 {
        match remove() {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                sleep(Duration::from_millis(1));
            }
            removed => return removed,
        }
    }
    remove()
}
