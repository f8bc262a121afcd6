//! The weight is taken for a nice value: the heavier, the less.

use std::{io, process::ExitCode};

use cpu_quota::{Answer, Group};
use sandbox::Limits;
use solution::set;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    set(group, &Limits { cpu_weight: Some(10_000 / weight), ..Limits::default() })
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { set_weight, ..solution::ANSWER })
}
