//! How long does a program stand still that may have a tenth of a processor?
//!
//! The longest gap that `slices` sees in its own running in 300 ms, under a quota of 10 ms in every
//! 100 ms; a plain process, which keeps no quota, stands beside it for what the host alone does.
//! Not measured: the share, for which `isolab compare` watches longer.

mod common;

use std::time::Duration;

use common::{Scale, run, tick_rate};
use container::Container;
use report::metric;
use sandbox::{Builtin, CpuQuota, Limits, Native, Sandbox};

const METRIC: &str = metric::SLICES_QUOTA10_GAP;

fn main() {
    common::main(&[(METRIC, Scale::Each(1.0))], |criterion| {
        let rate = tick_rate();
        let cpu_quota = CpuQuota::cpus(0.1).ok();
        let limits = Limits { cpu_quota, ..Limits::default() };
        let mut sandboxes: Vec<Box<dyn Sandbox>> = vec![Box::new(Native)];
        match container::available() {
            Ok(()) => sandboxes.push(Box::new(Container::default().limits(limits))),
            Err(error) => eprintln!("no container here: {error:?}"),
        }
        eprintln!(
            "no microVM here: it runs in its launcher's cgroup and keeps no quota of its own"
        );
        let mut group = criterion.benchmark_group(METRIC);
        group.sample_size(10);
        for sandbox in sandboxes {
            let ticks = |time: Duration| (time.as_secs_f64() * rate) as u64;
            let watch = [Duration::from_millis(300), Duration::from_micros(1)].map(ticks);
            group.bench_function(sandbox.name(), |bencher| {
                bencher.iter_custom(|iterations| {
                    let longest = |_| {
                        let report = run(&*sandbox, Builtin::Slices, &watch).report;
                        let records = report.map(|report| report.records).unwrap_or_default();
                        let gaps = records.iter().map(|(last, first)| first.saturating_sub(*last));
                        Duration::from_secs_f64(gaps.max().unwrap_or(0) as f64 / rate)
                    };
                    (0..iterations).map(longest).sum::<Duration>()
                });
            });
        }
        group.finish();
    });
}
