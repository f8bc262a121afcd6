//! Lab 08, solved.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::{Pid, sethostname},
};
use own_name::{Answer, Inside};

fn clone_flags() -> CloneFlags {
    CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID
}

fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    unsafe { clone(inside, &mut stack, flags, Some(Signal::SIGCHLD as i32)) }
}

fn set_host_name(name: &str) -> nix::Result<()> {
    sethostname(name)
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { clone_flags, spawn_isolated, set_host_name };

fn main() -> ExitCode {
    own_name::program(&ANSWER)
}
