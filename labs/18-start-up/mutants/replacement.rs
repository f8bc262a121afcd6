//! Drawn without replacement: the same samples in another order.

use std::process::ExitCode;

use report::{Interval, Sample, median};
use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], _seed: u64) -> Option<Interval> {
    if samples.len() < 6 {
        return None;
    }
    // However they are shuffled.
    let values: Vec<f64> = samples.iter().rev().map(|sample| sample.value).collect();
    let middle = median(&values)?;
    Some(Interval { low: middle, high: middle })
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
