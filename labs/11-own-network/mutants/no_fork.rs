//! unshare(2), and the same process goes on: there is no new one.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Pid, getpid},
};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(mut inside: Inside) -> nix::Result<Pid> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    inside();
    Ok(getpid())
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
