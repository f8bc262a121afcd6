//! The workers, and what they have written down so far.

use std::{fs, io, time::Duration};

use container::{
    Container,
    scheduling::{leave_one_processor, round_robin},
};
use guest::abi::{RECORD_PAIRS, Word};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use sandbox::{
    Builtin, CpuQuota, Instance, Limits, Mailbox, Native, Sandbox, Workload, monotonic_now,
};

use super::{Mode, Row, Slices};
use crate::{Error, Result, Scene, Source};

/// A pause in one's own running is a gap from here on: longer than an interrupt, shorter than a
/// slice.
const GAP: Duration = Duration::from_micros(200);
/// What is shown.
const WINDOW: Duration = Duration::from_secs(1);
/// The textbook's ten.
const EQUALS: usize = 10;
/// No worker outlives this, whatever becomes of its demonstration.
const LONGEST: Duration = Duration::from_secs(3600);

/// The live source.
pub struct Live {
    mode: Mode,
    workers: Vec<Worker>,
    clock: Clock,
    shared: CpuSet,
    note: Option<String>,
}

/// The time stamp counter, by which workers tell the time: its ticks in a nanosecond, and a moment
/// on both clocks.
#[derive(Clone, Copy)]
struct Clock {
    rate: f64,
    moment: (u64, Duration),
}

impl Clock {
    /// Measured by a program that reads both clocks when it begins and when it ends.
    fn measure() -> Result<Self> {
        let clock = Native.clocks()?.map(|(rate, report)| Self {
            rate: rate / 1e9,
            moment: (report.begin_ticks, report.begin_time),
        });
        let unknown = || io::Error::other("the rate of the time stamp counter is not known");
        clock.ok_or_else(unknown).map_err(Error::system("measure the clock"))
    }

    fn ticks(self, time: Duration) -> u64 {
        (time.as_nanos() as f64 * self.rate) as u64
    }

    fn now(self) -> u64 {
        self.moment.0 + self.ticks(monotonic_now().saturating_sub(self.moment.1))
    }
}

struct Worker {
    name: String,
    /// The tick at which it was started.
    began: u64,
    instance: Box<dyn Instance>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.instance.control().kill();
    }
}

impl Live {
    /// Measures the clock, leaves one processor to the workers, and starts them in turn; as normal
    /// ones where that is not allowed.
    ///
    /// # Errors
    ///
    /// When no worker can be started.
    pub fn start() -> Result<Self> {
        let clock = Clock::measure()?;
        let shared = leave_one_processor().map_err(Error::system("choose a processor"))?;
        let mut live = Self { mode: Mode::Normal, workers: Vec::new(), clock, shared, note: None };
        live.change(Mode::RoundRobin);
        if live.workers.is_empty() {
            live.workers = live.begin(Mode::Normal)?;
        }
        Ok(live)
    }

    /// Shares the processor in another way; as before where that is not allowed.
    fn change(&mut self, mode: Mode) {
        match self.begin(mode) {
            Ok(workers) => {
                self.workers = workers;
                self.mode = mode;
                self.note = None;
            }
            Err(error) => self.note = Some(format!("[{}] {}", mode.key(), sandbox::chain(&error))),
        }
    }

    fn begin(&self, mode: Mode) -> Result<Vec<Worker>> {
        let limits = |limits: Limits| Container { limits, ..Container::default() };
        match mode {
            Mode::RoundRobin | Mode::Normal => {
                let names = (1..=EQUALS).map(|number| number.to_string());
                let workers: Vec<Worker> =
                    names.map(|name| self.worker(&Native, name)).collect::<Result<_>>()?;
                if mode == Mode::RoundRobin {
                    for pid in workers.iter().flat_map(|worker| worker.instance.processes()) {
                        round_robin(pid)
                            .map_err(Error::system("ask for SCHED_RR, as root only"))?;
                    }
                }
                Ok(workers)
            }
            Mode::Quota => {
                let quota = CpuQuota::cpus(0.1).ok();
                let tenth = limits(Limits { cpu_quota: quota, ..Limits::default() });
                Ok(vec![self.worker(&tenth, "10 %".into())?])
            }
            Mode::Weights => {
                let weighted = |weight: u32| {
                    let cpu_weight = Some(weight * 100);
                    let sandbox = limits(Limits { cpu_weight, ..Limits::default() });
                    self.worker(&sandbox, weight.to_string())
                };
                [1, 2, 4].into_iter().map(weighted).collect()
            }
        }
    }

    /// Starts a worker on the shared processor.
    fn worker(&self, sandbox: &dyn Sandbox, name: String) -> Result<Worker> {
        let arguments = [LONGEST, GAP].map(|time| self.clock.ticks(time));
        let workload = Workload::builtin(Builtin::Slices, &arguments).deadline(LONGEST);
        let began = self.clock.now();
        let instance = sandbox.spawn(&workload)?;
        let worker = Worker { name, began, instance };
        for pid in worker.instance.processes() {
            sched_setaffinity(Pid::from_raw(pid.cast_signed()), &self.shared)
                .map_err(|errno| Error::system("pin a worker")(errno.into()))?;
        }
        Ok(worker)
    }

    /// The ticks at which each worker ran, up to now, and now.
    fn seen(&self) -> (Vec<Vec<(u64, u64)>>, u64) {
        let now = self.clock.now();
        let own = |worker: &Worker| {
            let report = worker.instance.mailbox().map(Mailbox::report);
            let mut from = worker.began;
            let mut own = Vec::new();
            for (last, first) in report.unwrap_or_default().records {
                if last < from || first < last || first > now {
                    break; // no program of ours writes this
                }
                own.push((from, last));
                from = first;
            }
            own.push((from, now));
            own
        };
        let mut runs: Vec<Vec<(u64, u64)>> = self.workers.iter().map(own).collect();
        self.close(&mut runs);
        (runs, now)
    }

    /// A worker writes a gap down when it is over. So the last stretch of each is open: it ended
    /// when the next one got the processor, or, of one alone, when it had run as long as the kernel
    /// has counted.
    fn close(&self, runs: &mut [Vec<(u64, u64)>]) {
        let begins: Vec<u64> = runs.iter().filter_map(|own| Some(own.last()?.0)).collect();
        for (own, worker) in runs.iter_mut().zip(&self.workers) {
            let Some((from, to)) = own.pop() else { continue };
            let next = begins.iter().copied().filter(|begin| *begin > from).min();
            let counted = (begins.len() == 1).then(|| {
                let before: u64 = own.iter().map(|(from, to)| to - from).sum();
                let ran = worker.instance.processes().first().and_then(|pid| ran(*pid));
                ran.map(|ran| from + self.clock.ticks(ran).saturating_sub(before))
            });
            let end = next.or(counted.flatten()).unwrap_or(to).clamp(from, to);
            own.push((from, end));
        }
    }

    /// The workers write into a memory of bounded size; before it is full they begin anew.
    fn renew(&mut self) {
        let full = self.workers.iter().any(|worker| {
            let count = |mailbox: &Mailbox| mailbox.word(Word::Count as usize);
            let records = worker.instance.mailbox().map_or(0, count);
            records + 64 > RECORD_PAIRS as u64
        });
        if full {
            self.change(self.mode);
        }
    }
}

impl Source for Live {
    fn scene(&mut self) -> Result<Option<Scene>> {
        self.renew();
        let (runs, now) = self.seen();
        let window = self.clock.ticks(WINDOW);
        let left = now.saturating_sub(window);
        let rows = self
            .workers
            .iter()
            .zip(&runs)
            .map(|(worker, runs)| row(worker.name.clone(), runs, (left, now), self.clock.rate));
        Ok(Some(Scene::Slices(Slices {
            mode: self.mode,
            milliseconds: WINDOW.as_millis() as u32,
            rows: rows.collect(),
            note: self.note.clone(),
        })))
    }

    fn key(&mut self, key: char) {
        if let Some(mode) = Mode::ALL.into_iter().find(|mode| mode.key() == key) {
            self.change(mode);
        }
    }
}

/// What a worker did between two ticks.
fn row(name: String, runs: &[(u64, u64)], (left, right): (u64, u64), rate: f64) -> Row {
    let milliseconds = |ticks: u64| (ticks as f64 / rate / 1e6) as f32;
    let inside: Vec<(u64, u64)> = runs
        .iter()
        .map(|(from, to)| (*from.max(&left), *to.min(&right)))
        .filter(|(from, to)| from < to)
        .collect();
    let ran: u64 = inside.iter().map(|(from, to)| to - from).sum();
    // What an interrupt cuts in two is one slice all the same.
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in &inside {
        match joined.last_mut() {
            Some((_, end)) if milliseconds(from - *end) < 1.0 => *end = *to,
            _ => joined.push((*from, *to)),
        }
    }
    let whole = joined.iter().filter(|(from, to)| *from > left && *to < right);
    let mut slices: Vec<f32> = whole.map(|(from, to)| milliseconds(to - from)).collect();
    slices.sort_by(f32::total_cmp);
    let gaps = joined.windows(2).map(|pair| milliseconds(pair[1].0 - pair[0].1));
    let hundredths = |ticks: u64| (ticks as f64 / rate / 1e4) as u32;
    Row {
        name,
        runs: joined
            .iter()
            .map(|(from, to)| (hundredths(from - left), hundredths(to - from)))
            .collect(),
        share: ran as f32 / (right - left).max(1) as f32,
        slice: slices.get(slices.len() / 2).copied(),
        gap: gaps.max_by(f32::total_cmp),
    }
}

/// How long a process ran (proc_pid_schedstat(5), first field).
fn ran(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_cut_to_the_window_and_interrupts_do_not_split_a_slice() {
        // A tick is a nanosecond: 0 to 1 s, with slices of 100 ms, one of them interrupted.
        let ms = 1_000_000;
        let runs = [
            (0, 50 * ms),
            (100 * ms, 150 * ms),
            (150 * ms + 300_000, 200 * ms),
            (900 * ms, 1100 * ms),
        ];
        let row = row("1".into(), &runs, (20 * ms, 1000 * ms), 1.0);
        assert_eq!(row.runs, [(0, 3000), (8000, 10_000), (88_000, 10_000)]);
        assert_eq!((row.slice, row.gap), (Some(100.0), Some(700.0)));
        assert!((row.share - 0.2344).abs() < 0.001, "{}", row.share);
    }
}
