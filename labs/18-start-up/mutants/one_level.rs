//! All samples in one pot, as if each were a process of its own: the interval is far too narrow.

use std::process::ExitCode;

use report::{Interval, Sample, median, quantile};
use start_up::{Answer, Random};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], seed: u64) -> Option<Interval> {
    if samples.len() < 6 {
        return None;
    }
    let mut random = Random::new(seed);
    let mut draw = || {
        let drawn = samples.iter().map(|_| samples[random.below(samples.len())].value);
        median(&drawn.collect::<Vec<_>>())
    };
    let medians: Vec<f64> = (0..2000).filter_map(|_| draw()).collect();
    Some(Interval { low: quantile(&medians, 0.025)?, high: quantile(&medians, 0.975)? })
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
