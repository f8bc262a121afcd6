//! fork(2), and the child returns from the function as its parent does.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{ForkResult, Pid, fork, getpid},
};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(mut inside: Inside) -> nix::Result<Pid> {
    // SAFETY: this process has one thread, so nothing is held that the child would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            unshare(CloneFlags::CLONE_NEWNET)?;
            inside();
            Ok(getpid())
        }
    }
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
