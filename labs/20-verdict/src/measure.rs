//! The samples: the same small programs in every sandbox, round after round, in turns.

use std::io;

use host::{ProcessStat, pss};
use measure::{Collection, Measurement, Message, Subject, disk_bytes, ensure_success, hello};
use report::{Probe, Provenance, Records, Unit, metric};
use sandbox::{Builtin, Instance, Milestone, Sandbox, Workload};

use crate::chain;

const ROUNDS: u32 = 16;
/// So many iterations take about a millisecond.
const ITERATIONS: u64 = 1_000_000;
const SEED: u64 = 20;

/// All series that this lab measures. Density is none of them: lab 19 measures it.
pub(crate) fn records(probes: Vec<Probe>) -> io::Result<Records> {
    let (mut subjects, missing) = measure::subjects();
    if let Some(missing) = missing.first() {
        return Err(io::Error::other(format!("no {}: {}", missing.label, missing.error)));
    }
    // The first one twice: how far apart are two series of the same thing?
    subjects.push(measure::again());
    let mut collection = Collection::default();
    for round in 0..ROUNDS {
        for index in measure::order(SEED, round, subjects.len()) {
            let subject = &subjects[index];
            for (metric, unit, value) in sample(subject)? {
                let (metric, sandbox) = (metric.to_owned(), subject.label.to_owned());
                let caveat = subject.caveat.clone();
                let measurement = Measurement { metric, sandbox, unit, value, round, caveat };
                collection.take(Message::Measured(measurement), 0);
            }
        }
    }
    probes.into_iter().for_each(|probe| collection.take(Message::Probe(probe), 0));
    let command = "lab 20".into();
    Ok(collection.into_records(Provenance { command, seed: SEED, ..Provenance::default() }))
}

/// One value of each metric.
fn sample(subject: &Subject) -> io::Result<[(&'static str, Unit, f64); 4]> {
    let sandbox = &*subject.sandbox;
    let run = |workload: Workload| {
        let outcome = sandbox.run(&workload).map_err(|error| chain(&error))?;
        ensure_success(outcome).map_err(io::Error::other)
    };
    let none = || io::Error::other("hello printed nothing");
    let timeline = run(hello())?.timeline;
    let first_byte = timeline.since_start(Milestone::FirstByte).ok_or_else(none)?;
    let spin = run(Workload::builtin(Builtin::Spin, &[ITERATIONS]))?;
    let ticks = spin.report.map_or(0, |report| report.ticks());
    Ok([
        (metric::STARTUP_FIRST_BYTE, Unit::Nanoseconds, first_byte.as_nanos() as f64),
        (metric::COMPUTE_SPIN, Unit::Count, ticks as f64 / ITERATIONS as f64),
        (metric::FOOTPRINT_MEMORY, Unit::Bytes, memory(sandbox)?),
        (metric::FOOTPRINT_DISK, Unit::Bytes, disk_bytes(subject.label)?),
    ])
}

/// What this process and those inside hold more when there is one idle instance.
fn memory(sandbox: &dyn Sandbox) -> io::Result<f64> {
    let own = std::process::id();
    let before = pss(own)?;
    let idle = sandbox.spawn(&Workload::builtin(Builtin::Idle, &[]));
    let idle = idle.map_err(|error| chain(&error))?;
    let_settle(&*idle);
    let inside = idle.processes().into_iter().map(pss).sum::<io::Result<u64>>()?;
    let after = pss(own)? + inside;
    idle.control().stop();
    idle.wait().map_err(|error| chain(&error))?;
    // What the kernel has taken back meanwhile is not the instance's.
    Ok(after.saturating_sub(before).max(4096) as f64)
}

/// Waits until its program has nothing left to do.
pub(crate) fn let_settle(instance: &dyn Instance) {
    let asleep = |pid: &u32| {
        let state = ProcessStat::of(*pid).ok().and_then(|stat| stat.state());
        !matches!(state, Some('R' | 'D'))
    };
    let settled = || match &instance.processes()[..] {
        [] => instance.timeline().since_start(Milestone::FirstByte).is_some(),
        processes => processes.iter().all(asleep),
    };
    while !settled() {
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}
