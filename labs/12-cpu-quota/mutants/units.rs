//! Milliseconds are written where the kernel counts microseconds.

use std::{fs, io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    let (quota, period) = (quota.as_millis(), period.as_millis());
    match group.version {
        1 => {
            fs::write(group.cpu.join("cpu.cfs_period_us"), period.to_string())?;
            fs::write(group.cpu.join("cpu.cfs_quota_us"), quota.to_string())
        }
        _ => fs::write(group.cpu.join("cpu.max"), format!("{quota} {period}")),
    }
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_quota, ..solution::ANSWER })
}
