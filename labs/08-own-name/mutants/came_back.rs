//! fork(2), and the new process goes on on its parent's path.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{ForkResult, Pid, fork},
};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, mut inside: Inside) -> nix::Result<Pid> {
    unshare(flags)?;
    // SAFETY: this process has one thread, so the child may do whatever it could do.
    match unsafe { fork() }? {
        ForkResult::Child => {
            inside();
            Ok(Pid::this())
        }
        ForkResult::Parent { child } => Ok(child),
    }
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
