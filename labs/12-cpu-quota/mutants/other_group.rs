//! The other version is written down.

use std::{io, process::ExitCode};

use cpu_quota::{Answer, CgroupParents, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create(parents: &CgroupParents, name: &str) -> io::Result<Group> {
    Ok(Group { version: 3 - parents.version, ..(solution::ANSWER.create)(parents, name)? })
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { create, ..solution::ANSWER })
}
