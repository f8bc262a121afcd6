//! CLONE_VM: the child runs on a stack that its parent frees at once.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::Pid,
};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_VM;
    // SAFETY: none: this is the mistake.
    unsafe { clone(inside, &mut stack, flags, Some(Signal::SIGCHLD as i32)) }
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
