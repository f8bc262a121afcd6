//! Two directories are removed, though both may be the same one.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(group: &Group) -> io::Result<()> {
    fs::remove_dir(&group.cpu)?;
    fs::remove_dir(&group.cpuacct)
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { remove, ..solution::ANSWER })
}
