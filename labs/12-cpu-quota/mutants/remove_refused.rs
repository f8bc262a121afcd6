//! The kernel's files are to be removed first.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(group: &Group) -> io::Result<()> {
    fs::remove_dir_all(&group.cpu)?;
    if group.cpuacct != group.cpu { fs::remove_dir_all(&group.cpuacct) } else { Ok(()) }
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { remove, ..solution::ANSWER })
}
