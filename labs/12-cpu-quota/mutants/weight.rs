//! The weight is taken for a nice value: the heavier, the less.

use std::{io, process::ExitCode};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    (solution::ANSWER.set_weight)(group, 10_000 / weight)
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_weight, ..solution::ANSWER })
}
