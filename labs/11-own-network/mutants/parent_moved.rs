//! unshare(2) in the parent: both processes are in the new network.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone, unshare},
    sys::signal::Signal,
    unistd::Pid,
};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(inside: Inside) -> nix::Result<Pid> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let mut stack = vec![0; 1 << 20];
    let flags = CloneFlags::empty();
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    unsafe { clone(inside, &mut stack, flags, Some(Signal::SIGCHLD as i32)) }
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
