//! A seed that is the time of day.

use std::process::ExitCode;

use std::time::SystemTime;

use report::{Interval, Sample, median_interval as right};
use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median_interval(samples: &[Sample], _seed: u64) -> Option<Interval> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    right(samples, now.subsec_nanos().into())
}

fn main() -> ExitCode {
    start_up::program(&Answer { median_interval, ..solution::ANSWER })
}
