//! `nr_throttled` is taken to be the line after `nr_periods`.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group, Stats};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn stats(group: &Group) -> io::Result<Stats> {
    let stat = fs::read_to_string(group.cpu.join("cpu.stat"))?;
    let mut lines = stat.lines().skip_while(|line| !line.starts_with("nr_periods ")).skip(1);
    let number = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let throttled = number.ok_or_else(|| io::Error::other("no line after nr_periods"))?;
    Ok(Stats { throttled, ..(solution::ANSWER.stats)(group)? })
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { stats, ..solution::ANSWER })
}
