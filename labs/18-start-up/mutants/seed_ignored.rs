//! Always the same seed.

use std::process::ExitCode;

use report::{Interval, Sample, median_interval as right};
use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], _seed: u64) -> Option<Interval> {
    right(samples, 1)
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
