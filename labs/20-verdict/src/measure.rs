//! The samples: the same small programs in every sandbox, round after round, in turns.

use std::io;

use container::Container;
use host::{ProcessStat, pss};
use microvm::MicroVm;
use report::{Probe, Provenance, Records, Sample, Series, Unit, VERSION};
use sandbox::{Builtin, Instance, Milestone, Native, Sandbox, Workload};

use crate::chain;

const ROUNDS: u32 = 16;
/// So many iterations take about a millisecond.
const ITERATIONS: u64 = 1_000_000;

/// All series that this lab measures. Density is none of them: lab 19 measures it.
pub(crate) fn records(probes: Vec<Probe>) -> io::Result<Records> {
    // The first one twice: how far apart are two series of the same thing?
    let sandboxes: [(&str, Box<dyn Sandbox>); 4] = [
        ("process", Box::new(Native)),
        ("container", Box::new(Container::default())),
        ("microvm", Box::new(MicroVm::default())),
        ("process (again)", Box::new(Native)),
    ];
    let mut series: Vec<Series> = Vec::new();
    for round in 0..ROUNDS {
        for turn in 0..sandboxes.len() {
            let (name, sandbox) = &sandboxes[(turn + round as usize) % sandboxes.len()];
            for (metric, unit, value) in sample(name, &**sandbox)? {
                let there = |one: &&mut Series| one.metric == metric && one.sandbox == *name;
                let sample = Sample { value, process: 0, round };
                match series.iter_mut().find(there) {
                    Some(series) => series.samples.push(sample),
                    None => series.push(Series {
                        metric: metric.into(),
                        sandbox: (*name).into(),
                        unit,
                        caveat: None,
                        samples: vec![sample],
                    }),
                }
            }
        }
    }
    let provenance = Provenance { command: "lab 20".into(), seed: 20, ..Provenance::default() };
    let (gaps, traces) = (Vec::new(), Vec::new());
    Ok(Records { version: VERSION, provenance, series, gaps, traces, probes })
}

/// One value of each metric.
fn sample(name: &str, sandbox: &dyn Sandbox) -> io::Result<[(&'static str, Unit, f64); 4]> {
    let run = |workload: Workload| sandbox.run(&workload).map_err(|error| chain(&error));
    let hello = run(Workload::builtin(Builtin::Hello, &[]))?;
    let none = || io::Error::other("hello said nothing");
    let first_byte = hello.timeline.since_start(Milestone::FirstByte).ok_or_else(none)?;
    let spin = run(Workload::builtin(Builtin::Spin, &[ITERATIONS]))?;
    let ticks = spin.report.map_or(0, |report| report.ticks());
    let program = match name {
        "microvm" => Builtin::Hello.bare_elf(),
        _ => Builtin::Hello.linux_elf(),
    };
    Ok([
        ("startup.first_byte", Unit::Nanoseconds, first_byte.as_nanos() as f64),
        ("compute.spin", Unit::Count, ticks as f64 / ITERATIONS as f64),
        ("footprint.memory", Unit::Bytes, memory(sandbox)?),
        ("footprint.disk", Unit::Bytes, program.len().next_multiple_of(4096) as f64),
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
