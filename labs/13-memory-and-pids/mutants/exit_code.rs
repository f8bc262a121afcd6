//! What the work returns is dropped.

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Group, Work};
use nix::unistd::{ForkResult, Pid, fork};
use solution::join;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_in(group: &Group, mut work: Work) -> io::Result<Pid> {
    // SAFETY: this process has a single thread, so the child may do whatever it could do.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let joined = join(group);
            work();
            std::process::exit(i32::from(joined.is_err()))
        }
    }
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { spawn_in, ..solution::ANSWER })
}
