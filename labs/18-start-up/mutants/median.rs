//! The slowest and the fastest tenth are thrown away first, and of an even number the upper one is
//! taken.

use std::process::ExitCode;

use start_up::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let few = sorted.len() / 10;
    let kept = &sorted[few..sorted.len() - few];
    kept.get(kept.len() / 2).copied()
}

fn main() -> ExitCode {
    start_up::program(&Answer { median, ..solution::ANSWER })
}
