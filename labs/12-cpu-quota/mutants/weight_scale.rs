//! Version 2's number in version 1's file.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    let file = if group.version == 1 { "cpu.shares" } else { "cpu.weight" };
    fs::write(group.cpu.join(file), weight.to_string())
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_weight, ..solution::ANSWER })
}
