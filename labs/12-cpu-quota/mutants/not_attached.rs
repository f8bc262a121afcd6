//! The group has its limits, and nobody is in it.

use std::{io, process::ExitCode};

use cpu_quota::{Answer, Group};
use nix::unistd::Pid;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn attach(group: &Group, pid: Pid) -> io::Result<()> {
    let _ = (group, pid);
    Ok(())
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { attach, ..solution::ANSWER })
}
