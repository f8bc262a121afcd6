//! How long a container takes from start to exit: rounds in one process, as a median.
//!
//! With `idle N` instead: N containers at once, the first and the last start time.

use std::time::{Duration, Instant};

use container::Container;
use sandbox::{Builtin, CpuQuota, Limits, Milestone, Sandbox as _, Workload};

fn main() -> sandbox::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(100);
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        cpu_quota: Some(CpuQuota {
            quota: Duration::from_millis(200),
            period: Duration::from_millis(100),
        }),
        pids: Some(64),
        ..Limits::default()
    };
    let container = Container::default().limits(limits);
    if words.first().is_some_and(|word| word == "idle") {
        return idle(&container, number(1));
    }
    let mut all = Vec::new();
    for _ in 0..number(0) {
        let start = Instant::now();
        let outcome = container.run(&Workload::builtin(Builtin::Hello, &[]))?;
        let since = |milestone| outcome.timeline.since_start(milestone).unwrap_or_default();
        all.push((start.elapsed(), Milestone::ALL.map(since)));
    }
    all.sort();
    println!(
        "start to cleaned: {:?}; of that run the milestones {:?}",
        all[all.len() / 2].0,
        all[all.len() / 2].1
    );
    Ok(())
}

fn idle(container: &Container, count: usize) -> sandbox::Result<()> {
    let mut running = Vec::new();
    let mut starts = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        running.push(container.spawn(&Workload::builtin(Builtin::Idle, &[]))?);
        starts.push(start.elapsed());
    }
    println!("first {:?}, last {:?}", starts.first(), starts.last());
    println!("Pss: {} kB", host::pss(std::process::id()).unwrap_or(0) >> 10);
    for instance in &running {
        instance.control().stop();
    }
    for instance in running {
        instance.wait()?;
    }
    Ok(())
}
