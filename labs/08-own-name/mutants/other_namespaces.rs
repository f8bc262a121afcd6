//! The flags are written down a second time in `spawn_isolated`, where one of them is forgotten.

use std::process::ExitCode;

use nix::{sched::CloneFlags, unistd::Pid};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(_flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    let flags = CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWPID;
    (solution::ANSWER.spawn_isolated)(flags, inside)
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
