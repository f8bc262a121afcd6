//! A division of whole numbers.

use std::{process::ExitCode, time::Duration};

use cpu_quota::{Answer, Stats};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn share(before: &Stats, after: &Stats, wall: Duration) -> f64 {
    ((after.usage - before.usage).as_millis() / wall.as_millis()) as f64
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { share, ..solution::ANSWER })
}
