//! The period is written where the quota belongs.

use std::{io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, Group};
use sandbox::{CpuQuota, Limits};
use solution::set;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    set(
        group,
        &Limits { cpu_quota: Some(CpuQuota { quota: period, period: quota }), ..Limits::default() },
    )
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_quota, ..solution::ANSWER })
}
