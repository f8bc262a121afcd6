//! unshare(CLONE_NEWPID) without a new process: the caller keeps its number.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, unshare},
    unistd::Pid,
};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, mut inside: Inside) -> nix::Result<Pid> {
    unshare(flags)?;
    std::process::exit(inside() as i32)
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
