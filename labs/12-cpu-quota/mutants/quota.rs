//! The quota is never written: only the period is.

use std::{fs, io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    let (_, period) = (quota, period.as_micros());
    match group.version {
        1 => fs::write(group.cpu.join("cpu.cfs_period_us"), period.to_string()),
        _ => fs::write(group.cpu.join("cpu.max"), format!("max {period}")),
    }
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_quota, ..solution::ANSWER })
}
