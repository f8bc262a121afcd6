//! The group stays.

use std::{io, process::ExitCode};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(group: &Group) -> io::Result<()> {
    let _ = group;
    Ok(())
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { remove, ..solution::ANSWER })
}
