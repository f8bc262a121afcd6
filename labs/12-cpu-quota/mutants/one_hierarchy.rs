//! One directory: version 1 counts the CPU time in another hierarchy.

use std::{fs, io, process::ExitCode};

use cpu_quota::{Answer, CgroupParents, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create(parents: &CgroupParents, name: &str) -> io::Result<Group> {
    let group = Group {
        version: parents.version,
        cpu: parents.cpu.join(name),
        cpuacct: parents.cpuacct.join(name),
    };
    if group.version == 2 {
        fs::write(parents.cpu.join("cgroup.subtree_control"), "+cpu")?;
    }
    fs::create_dir(&group.cpu)?;
    Ok(group)
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { create, ..solution::ANSWER })
}
