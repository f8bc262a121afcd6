//! After fork(2) both processes run `inside`.

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
    let forked = unsafe { fork() }?;
    let code = inside();
    match forked {
        ForkResult::Child => std::process::exit(code as i32),
        ForkResult::Parent { child } => Ok(child),
    }
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
