//! A stack of 256 bytes: the new process leaves it at its lower end with the first call.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::Pid,
};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, and destroys that alone.
    unsafe { clone(inside, &mut stack[..256], flags, Some(Signal::SIGCHLD as i32)) }
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
