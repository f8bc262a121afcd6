//! The median of nothing is zero.

use std::process::ExitCode;

use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median(values: &[f64]) -> Option<f64> {
    Some(report::median(values).unwrap_or(0.0))
}

fn main() -> ExitCode {
    start_up::program(&Answer { median, ..solution::ANSWER })
}
