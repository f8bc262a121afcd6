//! The new process works where it is.

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Group, Work};
use nix::unistd::{ForkResult, Pid, fork};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_in(group: &Group, mut work: Work) -> io::Result<Pid> {
    // SAFETY: this process has a single thread, so the child may do whatever it could do.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let _ = group;
            std::process::exit(work())
        }
    }
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { spawn_in, ..solution::ANSWER })
}
