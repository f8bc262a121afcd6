//! More than the number is written.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};
use nix::unistd::Pid;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn attach(group: &Group, pid: Pid) -> io::Result<()> {
    fs::write(group.cpu.join("cgroup.procs"), format!("pid {pid}"))?;
    fs::write(group.cpuacct.join("cgroup.procs"), format!("pid {pid}"))
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { attach, ..solution::ANSWER })
}
