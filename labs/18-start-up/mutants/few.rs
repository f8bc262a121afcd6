//! An interval from whatever there is.

use std::process::ExitCode;

use report::{Interval, Sample, median, median_interval as right};
use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], seed: u64) -> Option<Interval> {
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    let middle = median(&values)?;
    right(samples, seed).or(Some(Interval { low: middle, high: middle }))
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
