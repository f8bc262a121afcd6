//! Files from two web pages: the quota as version 2 has it, the weight as version 1 has it.

use std::{fs, io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    let (quota, period) = (quota.as_micros(), period.as_micros());
    fs::write(group.cpu.join("cpu.max"), format!("{quota} {period}"))
}

fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    fs::write(group.cpu.join("cpu.shares"), (u64::from(weight) * 1024 / 100).to_string())
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_quota, set_weight, ..solution::ANSWER })
}
