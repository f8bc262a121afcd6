//! Many idle instances at once, and what the kernel needs for each.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{self, Write},
    time::{Duration, Instant},
};

use host::{kernel_bytes, memory_field};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use report::{Unit, metric};
use sandbox::{Builtin, Instance, Milestone, Workload, chain};

use crate::{
    Error, MeasureOptions, Session, Subject, Value,
    message::Message,
    outcome::ensure_success,
    subjects::{AGAIN, linux_guest},
};

/// What ends the starts: a number of instances, a time, or a rest of memory.
struct Budget {
    instances: usize,
    time: Duration,
    memory_left: u64,
}

impl Budget {
    fn of(options: &MeasureOptions) -> Self {
        let (instances, seconds) = match (options.density, options.quick) {
            (Some(instances), _) => (instances as usize, 120),
            (None, true) => (24, 3),
            (None, false) => (200, 15),
        };
        let time = Duration::from_secs(seconds);
        Self { instances, time, memory_left: available() / 5 }
    }

    /// What ends the starts when so many are alive; `None` if nothing does.
    fn is_spent(&self, alive: usize, began: Instant) -> Option<String> {
        if alive >= self.instances {
            Some(format!("{alive} were asked for"))
        } else if began.elapsed() >= self.time {
            Some(format!("{} s were over", self.time.as_secs()))
        } else if available() <= self.memory_left {
            Some("only a fifth of the available memory was left".into())
        } else {
            None
        }
    }
}

/// Starts as many idle instances as the budget allows, in one sandbox after the other. With a number
/// of them that was asked for, a Linux guest is one of the sandboxes, and there is a curve.
pub fn measure<W: Write>(session: &mut Session<W>, options: &MeasureOptions) -> io::Result<()> {
    // Each instance holds some descriptors, and the usual soft limit is 1024.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let budget = Budget::of(options);
    let text = format!(
        "{} instances, {} s or a fifth of the available memory left, whichever comes first",
        budget.instances,
        budget.time.as_secs()
    );
    session.writer.write(&Message::Fact("density.budget".into(), text))?;
    if options.density.is_some() {
        session.subjects.retain(|subject| subject.label != AGAIN);
        session.subjects.extend(linux_guest());
    }
    let curves = RefCell::new(BTreeMap::new());
    session.rounds(|subject| {
        let many = start_many(subject, &budget)?;
        let values = many.values();
        curves.borrow_mut().insert(subject.label, many);
        Ok(values)
    })?;
    for (label, many) in curves.into_inner() {
        let name = format!("density.stopped.{label}");
        session.writer.write(&Message::Fact(name, many.stopped.clone()))?;
        if options.density.is_some() {
            for (round, value) in many.curve() {
                session.write(label, value, round)?;
            }
        }
    }
    Ok(())
}

/// What was seen of many instances.
struct Many {
    /// How many were alive at once.
    count: usize,
    /// How long each took to start; the last ones may not have begun their program yet.
    starts: Vec<Duration>,
    /// What the available memory has lost, by the number of those alive.
    taken: Vec<(usize, f64)>,
    /// The growth of the kernel's memory.
    grown: f64,
    /// What ended the starts.
    stopped: String,
}

impl Many {
    fn values(&self) -> Vec<Value> {
        let count = self.count as f64;
        let mut values = vec![
            (metric::DENSITY_COUNT, Unit::Count, count),
            (metric::FOOTPRINT_KERNEL, Unit::Bytes, self.grown / count),
        ];
        // One start alone would be chance: a twentieth at each end.
        let some = (self.starts.len() / 20).max(1);
        let time = |metric| move |start: &Duration| of_time(metric, *start);
        values.extend(self.starts.iter().take(some).map(time(metric::DENSITY_FIRST)));
        values.extend(self.starts.iter().rev().take(some).map(time(metric::DENSITY_LAST)));
        values
    }

    /// Both curves, each value with the number of those alive.
    fn curve(&self) -> Vec<(u32, Value)> {
        let starts = self.starts.iter().enumerate();
        let starts = starts
            .map(|(number, start)| (number as u32 + 1, of_time(metric::DENSITY_START, *start)));
        let taken = self
            .taken
            .iter()
            .map(|(alive, bytes)| (*alive as u32, (metric::DENSITY_MEMORY, Unit::Bytes, *bytes)));
        starts.chain(taken).collect()
    }
}

fn of_time(metric: &'static str, time: Duration) -> Value {
    (metric, Unit::Nanoseconds, time.as_nanos() as f64)
}

fn start_many(subject: &Subject, budget: &Budget) -> Result<Many, Error> {
    let deadline = budget.time + Duration::from_secs(60);
    let idle = Workload::builtin(Builtin::Idle, &[]).deadline(deadline);
    // The first instance of all also makes what the kernel then keeps for the next ones.
    finish(vec![subject.sandbox.spawn(&idle)?])?;
    let (before, memory) = (kernel_memory()?, available());
    let began = Instant::now();
    let every = (budget.instances / 50).max(1);
    let (mut alive, mut taken) = (Vec::new(), Vec::new());
    let stopped = loop {
        if let Some(reason) = budget.is_spent(alive.len(), began) {
            break reason;
        }
        match subject.sandbox.spawn(&idle) {
            Ok(instance) => alive.push(instance),
            Err(error) if alive.is_empty() => return Err(error.into()),
            Err(error) => break format!("no more could start: {}", chain(&error)),
        }
        if alive.len().is_multiple_of(every) {
            taken.push((alive.len(), memory as f64 - available() as f64));
        }
    };
    // Others' memory moves as well: a growth below zero is a measurement like any other.
    let grown = kernel_memory()? as f64 - before as f64;
    let count = alive.len();
    let timelines = alive.iter().map(|one| one.timeline());
    let starts: Vec<_> =
        timelines.filter_map(|timeline| timeline.since_start(Milestone::Entered)).collect();
    finish(alive)?;
    if starts.is_empty() {
        return Err(Error::new("the budget was spent before the first instance"));
    }
    Ok(Many { count, starts, taken, grown, stopped })
}

/// Ends all of them; each must have been alive until now.
fn finish(alive: Vec<Box<dyn Instance>>) -> Result<(), Error> {
    for instance in &alive {
        instance.control().stop();
    }
    for instance in alive {
        let outcome = ensure_success(instance.wait()?)?;
        if outcome.output != b"idle\n" {
            return Err(Error::new("an idle program did not print \"idle\""));
        }
    }
    Ok(())
}

fn kernel_memory() -> Result<u64, Error> {
    let text = fs::read_to_string("/proc/meminfo")?;
    kernel_bytes(&text).ok_or_else(|| Error::new("/proc/meminfo does not list the kernel's memory"))
}

fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    memory_field(&text, "MemAvailable").unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use sandbox::Native;

    use super::*;

    fn budget(instances: usize, milliseconds: u64, memory_left: u64) -> Budget {
        Budget { instances, time: Duration::from_millis(milliseconds), memory_left }
    }

    fn process() -> Subject {
        Subject { label: "process", sandbox: Box::new(Native), caveat: None }
    }

    #[test]
    fn the_number_that_was_asked_for_ends_the_starts_and_makes_the_curve() {
        let many = start_many(&process(), &budget(7, 60_000, 0)).unwrap();
        assert_eq!((many.starts.len(), many.stopped.as_str()), (7, "7 were asked for"));
        let rounds = |name: &str| -> Vec<u32> {
            let curve = many.curve();
            let its = curve.iter().filter(|(_, (metric, ..))| *metric == name);
            its.map(|(round, _)| *round).collect()
        };
        assert_eq!(rounds(metric::DENSITY_START), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(rounds(metric::DENSITY_MEMORY), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn time_and_memory_end_the_starts_as_well() {
        let now = Instant::now();
        let spent = |budget: &Budget| budget.is_spent(1, now).unwrap();
        assert!(spent(&budget(9, 0, 0)).ends_with("over"));
        assert!(spent(&budget(9, 60_000, u64::MAX)).contains("memory"));
        assert_eq!(budget(9, 60_000, 0).is_spent(1, now), None);
    }
}
