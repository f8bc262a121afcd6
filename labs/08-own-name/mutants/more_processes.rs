//! fork(2), and then clone(2) in the child: there is a process between the two.

use std::process::ExitCode;

use nix::{
    sched::CloneFlags,
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork},
};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    // SAFETY: this process has one thread, so the child may do whatever it could do.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let child = (solution::ANSWER.spawn_isolated)(flags, inside)?;
            waitpid(child, None)?;
            std::process::exit(0)
        }
        ForkResult::Parent { child } => Ok(child),
    }
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
