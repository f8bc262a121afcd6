//! "0" is the process that writes, and here that is the parent.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};
use nix::unistd::Pid;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn attach(group: &Group, pid: Pid) -> io::Result<()> {
    let _ = pid;
    fs::write(group.cpu.join("cgroup.procs"), "0")?;
    fs::write(group.cpuacct.join("cgroup.procs"), "0")
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { attach, ..solution::ANSWER })
}
