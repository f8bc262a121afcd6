//! CPU time in slices: a quota, weights, and two scheduling policies, seen by the programs
//! themselves.

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

use container::scheduling::round_robin;
use report::{Unit, metric};
use sandbox::{CpuQuota, Limits, Native, Report, monotonic_now};

use crate::{
    Error, Session,
    lanes::{known_until, periods, running, share, trace, turns},
    message::Message,
    subjects::{AGAIN, CONTAINER_AGAIN, container_again, limited},
    together,
    watch::{Lanes, Watch, pinned},
};

/// A gap that a quota made is longer than this; shorter ones are other programs' slices.
const THROTTLED: Duration = Duration::from_millis(10);

/// One of the measurements of this part.
#[derive(Clone, Copy)]
enum Question {
    Quota(u32),
    Weights,
    Equals(Policy),
    Together,
}

const QUESTIONS: [Question; 6] = [
    Question::Quota(10),
    Question::Quota(50),
    Question::Weights,
    Question::Equals(Policy::RoundRobin),
    Question::Equals(Policy::Normal),
    Question::Together,
];

/// Measures quotas, weights and policies, in an order that differs from process to process.
pub fn measure<W: Write>(session: &mut Session<W>, quick: bool) -> io::Result<()> {
    let watch = Watch::of(Duration::from_millis(1100))?;
    session.subjects.extend(container_again());
    for number in session.turns(0, QUESTIONS.len()) {
        let question = QUESTIONS[number];
        let labels = labels(session, question, number as u32);
        match question {
            Question::Quota(percent) => quota(session, &labels, &watch, percent)?,
            Question::Weights => weights(session, &labels, &watch)?,
            Question::Equals(policy) => policies(session, &labels, &watch, policy)?,
            Question::Together => together::measure(session, &labels, &watch, quick)?,
        }
    }
    session.writer.write(&Message::Round)
}

/// Labels of the sandboxes under measurement, in the order in which the question with that number
/// is asked. The noise floor of limits is that of containers, because a process has no limits.
fn labels<W: Write>(session: &Session<W>, question: Question, number: u32) -> Vec<&'static str> {
    let order = session.turns(number, session.subjects.len());
    let labels = order.into_iter().map(|index| session.subjects[index].label);
    let second_run = match question {
        Question::Quota(_) | Question::Weights => Some(CONTAINER_AGAIN),
        Question::Together => Some(AGAIN),
        Question::Equals(_) => None,
    };
    let is_asked =
        |label: &&str| ![AGAIN, CONTAINER_AGAIN].contains(label) || second_run == Some(*label);
    labels.filter(is_asked).collect()
}

/// One program alone under a quota of `percent` of a CPU.
fn quota<W: Write>(
    session: &mut Session<W>,
    labels: &[&'static str],
    watch: &Watch,
    percent: u32,
) -> io::Result<()> {
    let (quota_metric, gap_metric) = match percent {
        10 => (metric::SLICES_QUOTA10, Some(metric::SLICES_QUOTA10_GAP)),
        _ => (metric::SLICES_QUOTA50, None),
    };
    for &label in labels {
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
                    if label != CONTAINER_AGAIN {
                        let lanes = [(label.to_owned(), ran)];
                        let picture = trace(metric::SLICES_QUOTA10, &lanes, window, watch.rate);
                        session.writer.write(&Message::Trace(picture))?;
                    }
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
fn weights<W: Write>(
    session: &mut Session<W>,
    labels: &[&'static str],
    watch: &Watch,
) -> io::Result<()> {
    const METRICS: [&str; 3] =
        [metric::SLICES_WEIGHT1, metric::SLICES_WEIGHT2, metric::SLICES_WEIGHT4];
    for &label in labels {
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

fn policies<W: Write>(
    session: &mut Session<W>,
    labels: &[&'static str],
    watch: &Watch,
    policy: Policy,
) -> io::Result<()> {
    let (slice, part, picture) = match policy {
        Policy::RoundRobin => {
            (metric::SLICES_RR_SLICE, metric::SLICES_RR_SHARE, metric::TRACE_ROUND_ROBIN)
        }
        Policy::Normal => {
            (metric::SLICES_NORMAL_SLICE, metric::SLICES_NORMAL_SHARE, metric::TRACE_NORMAL)
        }
    };
    for &label in labels {
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
