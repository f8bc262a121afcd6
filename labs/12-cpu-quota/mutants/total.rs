//! The share is computed from all that the group has ever used.

use std::{process::ExitCode, time::Duration};

use cpu_quota::{Answer, Stats};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn share(before: &Stats, after: &Stats, wall: Duration) -> f64 {
    let _ = before;
    after.usage.as_secs_f64() / wall.as_secs_f64()
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { share, ..solution::ANSWER })
}
