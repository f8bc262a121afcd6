//! Lab 08: give a process its own host name, PID and IPC objects.
//!
//! Write the three functions. `isolab lab check 08` tells you how far you are.
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

/// Creates a process with the namespaces that `flags` name, which runs `inside` and exits with what
/// that returns. Returns its PID, as the caller sees it.
///
/// It must be a *new* process: a PID namespace contains only processes created in it (clone(2),
/// pid_namespaces(7)). What it changes in its memory, its open files and its working directory does
/// not change for the caller. The parent will wait for it, so it has to send `SIGCHLD` when it exits.
fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    todo!("lab 8, step 2: unsafe {{ clone(...) }}, on that stack")
}

/// Sets the host name that everybody in the caller's UTS namespace sees to `name` (sethostname(2)).
fn set_host_name(name: &str) -> nix::Result<()> {
    todo!("lab 8, step 3: one call")
}

fn main() -> ExitCode {
    own_name::program(&Answer { clone_flags, spawn_isolated, set_host_name })
}
