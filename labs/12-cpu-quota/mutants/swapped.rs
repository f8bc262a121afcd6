//! The period is written where the quota belongs.

use std::{io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    (solution::ANSWER.set_quota)(group, period, quota)
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_quota, ..solution::ANSWER })
}
