//! What the kernel and the guests say at one moment.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use lab::check::{Checked, Process};
use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};
use vcpu_threads::COUNTER_BYTES;

/// One moment.
pub struct Moment {
    pub when: Instant,
    /// How long each thread has run, and been ready to run, by its schedstat; nothing of one that
    /// has ended.
    pub ran: Vec<Duration>,
    pub waited: Vec<Duration>,
    /// What each guest has counted.
    pub counted: Vec<u64>,
}

/// What happened between two of them.
pub struct Span {
    pub wall: Duration,
    pub ran: Vec<Duration>,
    pub waited: Vec<Duration>,
    pub counted: Vec<u64>,
}

impl Moment {
    pub fn now(threads: &[Process], counters: &File, guests: usize) -> Checked<Self> {
        let when = Instant::now();
        let times = threads.iter().map(|thread| thread.schedstat().unwrap_or_default());
        let (ran, waited) = times.unzip();
        Ok(Self { when, ran, waited, counted: counted(counters, guests)? })
    }

    pub fn since(&self, before: &Self) -> Span {
        let times = |before: &[Duration], after: &[Duration]| {
            before.iter().zip(after).map(|(one, two)| two.saturating_sub(*one)).collect()
        };
        let counts = before.counted.iter().zip(&self.counted);
        Span {
            wall: self.when - before.when,
            ran: times(&before.ran, &self.ran),
            waited: times(&before.waited, &self.waited),
            counted: counts.map(|(one, two)| two.saturating_sub(*one)).collect(),
        }
    }
}

impl Span {
    /// Whether so many threads have run for so long.
    pub fn is_enough(&self, threads: usize, each: Duration) -> bool {
        self.ran.iter().filter(|ran| **ran >= each).count() >= threads
    }

    /// What each of the first guests has counted.
    pub fn progress(&self, guests: usize) -> Vec<f64> {
        self.counted.iter().take(guests).map(|count| *count as f64).collect()
    }
}

/// The guests' counters, in a page that they share with their host.
pub fn counted(counters: &File, guests: usize) -> Checked<Vec<u64>> {
    let mut page = vec![0; guests * COUNTER_BYTES as usize];
    counters.read_exact_at(&mut page, 0)?;
    let each = page.chunks_exact(COUNTER_BYTES as usize);
    Ok(each.map(|line| line.iter().take(8).rev().fold(0, |n, &b| n << 8 | u64::from(b))).collect())
}

/// A copy of the descriptor of that page.
pub fn counters(program: Process) -> Checked<File> {
    let open = program.descriptors()?;
    let page = open.iter().find(|(_, file)| file.starts_with("/memfd:counters"));
    let (number, _) = page.ok_or_else(|| io::Error::other("no /memfd:counters"))?;
    Ok(program.descriptor(*number)?.into())
}

/// The program's threads, but for the first, which speaks with the check, and those that KVM itself
/// starts in every process with a machine.
pub fn threads(program: Process) -> Checked<Vec<Process>> {
    let is_kvms =
        |thread: &Process| thread.read("comm").is_ok_and(|name| name.starts_with("kvm-nx-lpage"));
    let mut threads = program.threads()?;
    threads.retain(|thread| thread.pid != program.pid && !is_kvms(thread));
    Ok(threads)
}

/// How often each thread has had a processor: the third number of its schedstat, taken for a time as
/// the two before it are.
pub fn slices(threads: &[Process]) -> Vec<Duration> {
    let slices = |thread: &Process| {
        let text = thread.read("schedstat").unwrap_or_default();
        text.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    threads.iter().map(|thread| Duration::from_nanos(slices(thread))).collect()
}

/// The nice value, field 19 of `/proc/PID/stat` (proc_pid_stat(5)).
pub fn nice(process: Process) -> Checked<i64> {
    let stat = process.read("stat")?;
    // The name may have spaces and brackets in it; field 3 follows its last bracket.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let nice = fields.split_whitespace().nth(19 - 3).and_then(|word| word.parse().ok());
    Ok(nice.ok_or_else(|| io::Error::other("no nice value"))?)
}

/// How many times the least of them the greatest is.
pub fn ratio(values: &[f64]) -> f64 {
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    values.iter().copied().fold(0.0, f64::max) / least.max(1e-9)
}

/// The processors that this process may use.
pub fn processors() -> Checked<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).map_err(io::Error::from)?;
    Ok((0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true)).collect())
}
