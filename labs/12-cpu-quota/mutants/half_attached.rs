//! Into one of the directories: version 1 counts the CPU time in the other.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};
use nix::unistd::Pid;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn attach(group: &Group, pid: Pid) -> io::Result<()> {
    fs::write(group.cpu.join("cgroup.procs"), pid.to_string())
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { attach, ..solution::ANSWER })
}
