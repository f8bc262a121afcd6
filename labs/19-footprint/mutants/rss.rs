//! Resident sets added up: pages that three have in common count three times.

use std::{fs, io, process::ExitCode};

use footprint::{Answer, Hall};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pss(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kilobytes.ok_or(io::ErrorKind::InvalidData)? * 1024)
}

fn footprint(launcher: u32, inside: &[u32]) -> io::Result<u64> {
    [launcher].iter().chain(inside).map(|&pid| pss(pid)).sum()
}

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    let before = footprint(hall.launcher(), &[])?;
    loop {
        hall.start()?;
        let now = footprint(hall.launcher(), &hall.inside())?;
        if now.saturating_sub(before) >= budget {
            break;
        }
    }
    Ok(hall.alive())
}

fn main() -> ExitCode {
    footprint::program(&Answer { pss, footprint, how_many, ..solution::ANSWER })
}
