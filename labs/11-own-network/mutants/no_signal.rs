//! No signal for the parent: waitpid(2) would find no child.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone},
    unistd::Pid,
};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    let flags = CloneFlags::CLONE_NEWNET;
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    unsafe { clone(inside, &mut stack, flags, None) }
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
