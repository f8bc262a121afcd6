//! Whoever looks at the counters lifts the limit.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group, Stats};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn stats(group: &Group) -> io::Result<Stats> {
    match group.version {
        1 => fs::write(group.cpu.join("cpu.cfs_quota_us"), "-1")?,
        _ => fs::write(group.cpu.join("cpu.max"), "max")?,
    }
    (solution::ANSWER.stats)(group)
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { stats, ..solution::ANSWER })
}
