//! Whole processes are drawn, and all their rounds as they are.

use std::process::ExitCode;

use std::collections::BTreeMap;

use report::{Interval, Sample, median, quantile};
use start_up::{Answer, Random};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], seed: u64) -> Option<Interval> {
    if samples.len() < 6 {
        return None;
    }
    let mut processes = BTreeMap::<u32, Vec<f64>>::new();
    for sample in samples {
        processes.entry(sample.process).or_default().push(sample.value);
    }
    let processes: Vec<Vec<f64>> = processes.into_values().collect();
    let mut random = Random::new(seed);
    let mut draw = || {
        let mut drawn = Vec::new();
        for _ in 0..processes.len() {
            let rounds = &processes[random.below(processes.len())];
            drawn.extend(rounds);
        }
        median(&drawn)
    };
    let medians: Vec<f64> = (0..2000).filter_map(|_| draw()).collect();
    Some(Interval { low: quantile(&medians, 0.025)?, high: quantile(&medians, 0.975)? })
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
