//! Lab 08: give a process a name, a number and a mailbox of its own.
//!
//! Write the three functions. `isolab lab check 08` tells how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::{Pid, sethostname},
};
use own_name::{Answer, Inside};

/// The new process's own tables: UTS (host name), IPC (segments, queues) and PID (numbers).
///
/// See namespaces(7); each has a flag `CLONE_NEW...`.
fn clone_flags() -> CloneFlags {
    todo!("lab 8, step 1: three flags, joined by |")
}

/// Makes a process with the namespaces that `flags` name, which does `inside` and ends with what
/// that returns. Gives its number, as the caller sees it.
///
/// It must be a *new* process: a pid namespace counts those that are born in it (clone(2),
/// pid_namespaces(7)). The parent will wait for it, so it has to send `SIGCHLD` when it ends.
fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    todo!("lab 8, step 2: unsafe {{ clone(...) }}, on that stack")
}

/// Gives a name to the host, as everybody in the caller's UTS namespace sees it (sethostname(2)).
fn set_host_name(name: &str) -> nix::Result<()> {
    todo!("lab 8, step 3: one call")
}

fn main() -> ExitCode {
    own_name::program(&Answer { clone_flags, spawn_isolated, set_host_name })
}
