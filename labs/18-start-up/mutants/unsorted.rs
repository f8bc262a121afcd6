//! The middle of the values as they come.

use std::process::ExitCode;

use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median(values: &[f64]) -> Option<f64> {
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    let is_even = values.len().is_multiple_of(2);
    Some(if is_even { f64::midpoint(values[half - 1], upper) } else { upper })
}

fn main() -> ExitCode {
    start_up::program(&Answer { median, ..solution::ANSWER })
}
