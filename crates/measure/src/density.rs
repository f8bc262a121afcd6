//! Many idle instances at once, and what the kernel needs for each.

use std::{
    fs,
    io::{self, Write},
    time::{Duration, Instant},
};

use host::{kernel_bytes, memory_field};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use report::{Unit, metric};
use sandbox::{Builtin, Instance, Milestone, Workload};

use crate::{Error, Session, Subject, Value, message::Message, outcome::ensure_success};

/// What ends the starts: a number of instances, a time, or a rest of memory.
struct Budget {
    instances: usize,
    time: Duration,
    memory_left: u64,
}

/// Starts as many idle instances as the budget allows, in one sandbox after the other.
pub fn measure<W: Write>(session: &mut Session<W>, quick: bool) -> io::Result<()> {
    // Each instance holds some descriptors, and the usual soft limit is 1024.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let budget = Budget {
        instances: if quick { 24 } else { 200 },
        time: Duration::from_secs(if quick { 3 } else { 15 }),
        memory_left: available() / 5,
    };
    let text = format!(
        "{} instances, {} s or a fifth of the available memory left, whichever comes first",
        budget.instances,
        budget.time.as_secs()
    );
    session.writer.write(&Message::Fact("density.budget".into(), text))?;
    session.rounds(|subject| start_many(subject, &budget))
}

fn start_many(subject: &Subject, budget: &Budget) -> Result<Vec<Value>, Error> {
    let idle = Workload::builtin(Builtin::Idle, &[]).deadline(Duration::from_secs(60));
    // The first instance of all also makes what the kernel then keeps for the next ones.
    finish(vec![subject.sandbox.spawn(&idle)?])?;
    let before = kernel_memory()?;
    let began = Instant::now();
    let mut alive = Vec::new();
    while alive.len() < budget.instances
        && began.elapsed() < budget.time
        && available() > budget.memory_left
    {
        alive.push(subject.sandbox.spawn(&idle)?);
    }
    // Others' memory moves as well: a growth below zero is a measurement like any other.
    let grown = kernel_memory()? as f64 - before as f64;
    let count = alive.len();
    if count == 0 {
        return Err(Error::new("the budget was spent before the first instance"));
    }
    let timelines = alive.iter().map(|one| one.timeline());
    let starts: Vec<_> =
        timelines.filter_map(|timeline| timeline.since_start(Milestone::Entered)).collect();
    finish(alive)?;
    let mut values = vec![
        (metric::DENSITY_COUNT, Unit::Count, count as f64),
        (metric::FOOTPRINT_KERNEL, Unit::Bytes, grown / count as f64),
    ];
    // One start alone would be chance: a twentieth at each end.
    let some = (starts.len() / 20).max(1);
    let time =
        |metric| move |start: &Duration| (metric, Unit::Nanoseconds, start.as_nanos() as f64);
    values.extend(starts.iter().take(some).map(time(metric::DENSITY_FIRST)));
    values.extend(starts.iter().rev().take(some).map(time(metric::DENSITY_LAST)));
    Ok(values)
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
