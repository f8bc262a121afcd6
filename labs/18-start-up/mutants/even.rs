//! Of an even number of values, the upper one of the middle two.

use std::process::ExitCode;

use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn main() -> ExitCode {
    start_up::program(&Answer { median, ..solution::ANSWER })
}
