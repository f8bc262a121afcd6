//! The mean of skewed data: one slow start moves it, though nearly all were as before.

use std::process::ExitCode;

use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

fn main() -> ExitCode {
    start_up::program(&Answer { median, ..solution::ANSWER })
}
