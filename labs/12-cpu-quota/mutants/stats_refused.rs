//! The space before a number, and the line's end after it, are not taken away.

use std::{fs, io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, Group, Stats};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn stats(group: &Group) -> io::Result<Stats> {
    let usage = match group.version {
        1 => {
            let text = fs::read_to_string(group.cpuacct.join("cpuacct.usage"))?;
            Duration::from_nanos(text.parse().map_err(io::Error::other)?)
        }
        _ => {
            let stat = fs::read_to_string(group.cpu.join("cpu.stat"))?;
            let text = stat.lines().find_map(|line| line.strip_prefix("usage_usec"));
            Duration::from_micros(text.unwrap_or("").parse().map_err(io::Error::other)?)
        }
    };
    Ok(Stats { usage, ..(solution::ANSWER.stats)(group)? })
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { stats, ..solution::ANSWER })
}
