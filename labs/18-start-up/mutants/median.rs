//! The slowest tenth is thrown away first.

use std::process::ExitCode;

use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    report::median(&sorted[..sorted.len() - sorted.len() / 10])
}

fn main() -> ExitCode {
    start_up::program(&Answer { median, ..solution::ANSWER })
}
