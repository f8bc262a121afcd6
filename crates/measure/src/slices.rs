//! CPU time in slices: a quota, weights, and two scheduling policies, seen by the programs
//! themselves.

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

use container::scheduling::{leave_one_processor, round_robin};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use report::{Unit, metric};
use sandbox::{
    Builtin, CpuQuota, Instance, Limits, Native, Report, Sandbox, Workload, monotonic_now,
};

use crate::{
    Error, Session,
    clock::tick_rate,
    lanes::{Stretch, common, cut, known_until, periods, running, share, trace, turns},
    message::Message,
    outcome::ensure_success,
    subjects::{AGAIN, LABELS, limited},
};

/// A pause in one's own running counts as a gap from here on: longer than an interrupt, far shorter
/// than a time slice.
const GAP: Duration = Duration::from_micros(200);

/// A gap that a quota made is longer than this; shorter ones are other programs' slices.
const THROTTLED: Duration = Duration::from_millis(10);

/// How long programs are watched, and the clock that they are watched by.
struct Watch {
    length: Duration,
    rate: f64,
    /// The CPU that programs have to share.
    shared: CpuSet,
}

/// Measures quotas, weights and policies.
pub fn measure<W: Write>(session: &mut Session<W>, quick: bool) -> io::Result<()> {
    let rate = tick_rate().map_err(io::Error::other)?;
    let length = Duration::from_millis(if quick { 1100 } else { 3100 });
    let watch = Watch { length, rate, shared: leave_one_processor()? };
    session.subjects.retain(|subject| subject.label != AGAIN);
    for percent in [10, 50] {
        quota(session, &watch, percent)?;
    }
    weights(session, &watch)?;
    for policy in [Policy::RoundRobin, Policy::Normal] {
        policies(session, &watch, policy)?;
    }
    session.writer.write(&Message::Round)
}

impl Watch {
    fn ticks(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * self.rate) as u64
    }

    /// The tick at `instant`, by the two clocks of a program.
    fn tick_at(&self, report: &Report, instant: Duration) -> u64 {
        report.begin_ticks + self.ticks(instant.saturating_sub(report.begin_time))
    }

    fn nanoseconds(&self, ticks: u64) -> f64 {
        ticks as f64 * 1e9 / self.rate
    }

    /// The program that looks for gaps in its own running; it is told when to stop.
    fn slices(&self) -> Workload {
        let long = Duration::from_secs(60);
        let arguments = [self.ticks(long), self.ticks(GAP)];
        Workload::builtin(Builtin::Slices, &arguments).deadline(long)
    }

    /// Lets these programs run, and returns what each saw.
    fn over(&self, running: Vec<Box<dyn Instance>>) -> Result<Vec<Report>, Error> {
        thread::sleep(self.length);
        for instance in &running {
            instance.control().stop();
        }
        let report = |instance: Box<dyn Instance>| {
            let outcome = ensure_success(instance.wait()?)?;
            outcome.report.ok_or_else(|| Error::new("the program reported nothing"))
        };
        running.into_iter().map(report).collect()
    }
}

/// Labels of the sandboxes under measurement.
fn labels<W: Write>(session: &Session<W>) -> Vec<&'static str> {
    let present = |label: &&str| session.subjects.iter().any(|subject| subject.label == *label);
    LABELS.into_iter().filter(present).collect()
}

/// One program alone under a quota of `percent` of a CPU.
fn quota<W: Write>(session: &mut Session<W>, watch: &Watch, percent: u32) -> io::Result<()> {
    let (quota_metric, gap_metric) = match percent {
        10 => (metric::SLICES_QUOTA10, Some(metric::SLICES_QUOTA10_GAP)),
        _ => (metric::SLICES_QUOTA50, None),
    };
    for label in labels(session) {
        match throttled(label, watch, percent) {
            Ok(report) => {
                let window = periods(&report, watch.ticks(THROTTLED))
                    .unwrap_or((report.begin_ticks, known_until(&report)));
                let ran = running(&report);
                session.write(label, (quota_metric, Unit::Share, share(&ran, window)), 0)?;
                let longest = report.records.iter().map(|(last, first)| first - last).max();
                if let (Some(gap_metric), Some(longest)) = (gap_metric, longest) {
                    let gap = watch.nanoseconds(longest);
                    session.write(label, (gap_metric, Unit::Nanoseconds, gap), 0)?;
                    let lanes = [(label.to_owned(), ran)];
                    let picture = trace(metric::SLICES_QUOTA10, &lanes, window, watch.rate);
                    session.writer.write(&Message::Trace(picture))?;
                }
            }
            Err(error) => {
                let metrics: Vec<_> =
                    [Some(quota_metric), gap_metric].into_iter().flatten().collect();
                session.writer.gaps(&metrics, label, &error)?;
            }
        }
    }
    Ok(())
}

fn throttled(label: &str, watch: &Watch, percent: u32) -> Result<Report, Error> {
    let quota = CpuQuota::cpus(f64::from(percent) / 100.0)
        .map_err(|error| Error::new(error.to_string()))?;
    let limits = Limits { cpu_quota: Some(quota), ..Limits::default() };
    let instance = limited(label, &limits)?.spawn(&watch.slices())?;
    let reports = watch.over(vec![instance])?;
    let report = reports.into_iter().next();
    let worked = |report: &Report| report.begin_ticks < report.end_ticks;
    report.filter(worked).ok_or_else(|| Error::new("the program reported nothing"))
}

/// Three programs on one CPU with weights of 1 : 2 : 4.
fn weights<W: Write>(session: &mut Session<W>, watch: &Watch) -> io::Result<()> {
    const METRICS: [&str; 3] =
        [metric::SLICES_WEIGHT1, metric::SLICES_WEIGHT2, metric::SLICES_WEIGHT4];
    for label in labels(session) {
        let spawn = |weight| {
            let limits = Limits { cpu_weight: Some(weight), ..Limits::default() };
            pinned(&*limited(label, &limits)?, watch)
        };
        let seen = [100, 200, 400].map(spawn).into_iter().collect::<Result<Vec<_>, _>>();
        match seen.and_then(|instances| Lanes::of(&watch.over(instances)?)) {
            Ok(lanes) => {
                for (metric, ran) in METRICS.into_iter().zip(&lanes.running) {
                    let share = share(ran, lanes.window);
                    session.write(label, (metric, Unit::Share, share), 0)?;
                }
                let names = ["weight 1", "weight 2", "weight 4"].map(str::to_owned);
                let picture = lanes.trace(metric::TRACE_WEIGHTS, names, watch);
                session.writer.write(&Message::Trace(picture))?;
            }
            Err(error) => session.writer.gaps(&METRICS, label, &error)?,
        }
    }
    Ok(())
}

/// How the kernel shares a CPU among equals.
#[derive(Clone, Copy)]
enum Policy {
    /// `SCHED_RR`: each runs a fixed time, then it is the next one's turn.
    RoundRobin,
    /// `SCHED_OTHER`: the one that has run least.
    Normal,
}

/// How many programs share the CPU: the textbook's ten.
const EQUALS: usize = 10;

/// Ten turns of `SCHED_RR`, at the kernel's usual 100 ms.
const ROUND: Duration = Duration::from_secs(1);

fn policies<W: Write>(session: &mut Session<W>, watch: &Watch, policy: Policy) -> io::Result<()> {
    let (slice, part, picture) = match policy {
        Policy::RoundRobin => {
            (metric::SLICES_RR_SLICE, metric::SLICES_RR_SHARE, metric::TRACE_ROUND_ROBIN)
        }
        Policy::Normal => {
            (metric::SLICES_NORMAL_SLICE, metric::SLICES_NORMAL_SHARE, metric::TRACE_NORMAL)
        }
    };
    for label in labels(session) {
        if label != "process" {
            let error =
                Error::new("the policy belongs to the host's scheduler, whatever the walls");
            session.writer.gaps(&[slice, part], label, &error)?;
            continue;
        }
        match equals(watch, policy) {
            Ok(lanes) => {
                for (round, ran) in lanes.running.iter().enumerate() {
                    let value = (part, Unit::Share, share(ran, lanes.window));
                    session.write(label, value, round as u32)?;
                }
                for (round, turn) in turns(&lanes.running).into_iter().enumerate() {
                    let value = (slice, Unit::Nanoseconds, watch.nanoseconds(turn));
                    session.write(label, value, round as u32)?;
                }
                let names = (1..=EQUALS).map(|number| number.to_string());
                session.writer.write(&Message::Trace(lanes.trace(picture, names, watch)))?;
            }
            Err(error) => session.writer.gaps(&[slice, part], label, &error)?,
        }
    }
    Ok(())
}

fn equals(watch: &Watch, policy: Policy) -> Result<Lanes, Error> {
    let programs: Vec<_> = (0..EQUALS).map(|_| pinned(&Native, watch)).collect::<Result<_, _>>()?;
    if let Policy::RoundRobin = policy {
        for pid in programs.iter().flat_map(|program| program.processes()) {
            round_robin(pid).map_err(|error| Error {
                reason: format!("SCHED_RR for process {pid}: {error}"),
                fix: "run as root, in a cgroup with a real-time budget".into(),
            })?;
        }
    }
    let set = monotonic_now();
    // Each gets going only when its turn comes, and all turns make a round.
    thread::sleep(ROUND);
    let reports = watch.over(programs)?;
    let lanes = Lanes::of(&reports)?;
    let from = reports.first().map_or(0, |report| watch.tick_at(report, set + ROUND));
    lanes.whole_rounds(from, watch.ticks(ROUND))
}

/// The running stretches of programs inside of their common window.
struct Lanes {
    running: Vec<Vec<Stretch>>,
    window: Stretch,
}

impl Lanes {
    fn of(reports: &[Report]) -> Result<Self, Error> {
        let window = common(reports)
            .ok_or_else(|| Error::new("the programs were never at work all at once"))?;
        let running = reports.iter().map(|report| cut(&running(report), window)).collect();
        Ok(Self { running, window })
    }

    /// The same without what was before `from`, in a window of whole rounds if it holds one: in
    /// half a round some have had their turn and others have not.
    fn whole_rounds(mut self, from: u64, round: u64) -> Result<Self, Error> {
        let (begin, end) = (self.window.0.max(from), self.window.1);
        if begin >= end {
            return Err(Error::new("the programs ended before their first round was over"));
        }
        let rounds = (end - begin) / round.max(1);
        self.window = (begin, if rounds == 0 { end } else { begin + rounds * round });
        self.running = self.running.iter().map(|ran| cut(ran, self.window)).collect();
        Ok(self)
    }

    fn trace(
        &self,
        metric: &str,
        names: impl IntoIterator<Item = String>,
        watch: &Watch,
    ) -> report::Trace {
        let lanes: Vec<_> = names.into_iter().zip(self.running.iter().cloned()).collect();
        trace(metric, &lanes, self.window, watch.rate)
    }
}

/// Starts the program on the shared CPU.
fn pinned(sandbox: &dyn Sandbox, watch: &Watch) -> Result<Box<dyn Instance>, Error> {
    let instance = sandbox.spawn(&watch.slices())?;
    for pid in instance.processes() {
        let pid = Pid::from_raw(pid.cast_signed());
        sched_setaffinity(pid, &watch.shared).map_err(io::Error::from)?;
    }
    Ok(instance)
}
