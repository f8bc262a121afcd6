//! One directory, and nothing else: no `+cpu` for version 2, no second hierarchy for version 1.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, Group, Place};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create(place: &Place, name: &str) -> io::Result<Group> {
    let group = Group {
        version: place.version,
        cpu: place.cpu.join(name),
        cpuacct: place.cpuacct.join(name),
    };
    fs::create_dir(&group.cpu)?;
    Ok(group)
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { create, ..solution::ANSWER })
}
