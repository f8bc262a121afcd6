//! All samples in one pot, as if each were a process of its own: the interval is far too narrow.

use std::{process::ExitCode, time::Duration};

use report::{Interval, Sample, median, quantile};
use sandbox::{Milestone, Sandbox, Workload, monotonic_now};
use start_up::{Answer, Measured, Random, Subject};

fn measure(sandbox: &dyn Sandbox, workload: &Workload) -> sandbox::Result<Measured> {
    let before = monotonic_now();
    let outcome = sandbox.run(workload)?;
    let total = monotonic_now() - before;
    let mut last = Duration::ZERO;
    let phases = Milestone::ALL.map(|milestone| {
        let reached = outcome.timeline.since_start(milestone).unwrap_or(last);
        let phase = reached.saturating_sub(last);
        last = reached;
        phase
    });
    Ok(Measured { phases, total })
}

fn plan(subjects: &[Subject]) -> Vec<Vec<Subject>> {
    const PROCESSES: usize = 6;
    const ROUNDS: usize = 6;
    let order = |process: usize| {
        let rounds = (0..ROUNDS).flat_map(move |round| {
            let mut round_of_all = subjects.to_vec();
            // Nobody is always the first, or always after the same other one.
            round_of_all.rotate_left((process + round) % subjects.len());
            if round % 2 == 1 {
                round_of_all.reverse();
            }
            round_of_all
        });
        rounds.collect()
    };
    (0..PROCESSES).map(order).collect()
}

fn median_interval(samples: &[Sample], seed: u64) -> Option<Interval> {
    let mut random = Random::new(seed);
    let mut draw = || {
        let drawn = samples.iter().map(|_| samples[random.below(samples.len())].value);
        median(&drawn.collect::<Vec<_>>())
    };
    let medians: Vec<f64> = (0..2000).filter_map(|_| draw()).collect();
    Some(Interval { low: quantile(&medians, 0.025)?, high: quantile(&medians, 0.975)? })
}

fn main() -> ExitCode {
    start_up::program(&Answer { measure, plan, median, median_interval })
}
