//! The number with a unit.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    match group.version {
        1 => fs::write(group.cpu.join("cpu.shares"), format!("{weight} shares")),
        _ => fs::write(group.cpu.join("cpu.weight"), format!("{weight} shares")),
    }
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_weight, ..solution::ANSWER })
}
