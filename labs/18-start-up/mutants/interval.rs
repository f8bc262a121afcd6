//! The middle 95 % of the samples: where the next start will lie, not where the median does.

use std::process::ExitCode;

use report::{Interval, Sample, quantile};
use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], _seed: u64) -> Option<Interval> {
    if samples.len() < 6 {
        return None;
    }
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    Some(Interval { low: quantile(&values, 0.025)?, high: quantile(&values, 0.975)? })
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
