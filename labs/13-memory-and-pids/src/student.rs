//! Lab 13: a limit that kills, and a limit that refuses.
//!
//! Write the functions. `isolab lab check 13` tells you how far you are. The group already exists, as
//! in lab 12; `group.version` says which version it is.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group, Work};
use nix::unistd::{ForkResult, Pid, fork};

/// Limits the group to `bytes` of memory in total, and no swap in addition.
///
/// Version 1, in `group.memory`: `memory.limit_in_bytes`, then `memory.memsw.limit_in_bytes`, which
/// is memory *and* swap, so it takes the same number. Version 2: `memory.max`, and
/// `memory.swap.max`, which is swap alone. A kernel that does not count swap lacks the second file;
/// then leave it out.
fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    todo!("lab 13, step 1: two files")
}

/// Limits the group to `most` processes: `pids.max` in `group.pids`.
fn set_pids(group: &Group, most: u64) -> io::Result<()> {
    todo!("lab 13, step 2: one file")
}

/// Creates a process that joins the group, then does `work`, and exits with what that returns.
/// Returns its PID.
///
/// Memory is charged to the group that the process is in at that moment, so it must join before it
/// does anything. A process joins by writing `0` into `cgroup.procs`, here of both
/// directories.
fn spawn_in(group: &Group, mut work: Work) -> io::Result<Pid> {
    todo!("lab 13, step 3: unsafe {{ fork() }}; in the child join, work, std::process::exit")
}

/// Returns `bytes` of memory that is actually allocated.
///
/// The kernel only reserves memory when it is requested, and allocates a page of 4096 bytes when
/// that is first written to.
fn fill(bytes: usize) -> Vec<u8> {
    todo!("lab 13, step 4: allocate, then write one byte into every page")
}

/// What has happened since the group was created.
///
/// Killed: the line `oom_kill` in `memory.oom_control` (version 1) or `memory.events` (version 2).
/// Refused: the line `max` in `pids.events`.
fn read_events(group: &Group) -> io::Result<Events> {
    todo!("lab 13, step 5: find a line by its first word, in two files")
}

/// What happens while `work` is done.
fn events_during(group: &Group, work: &mut dyn FnMut()) -> io::Result<Events> {
    todo!("lab 13, step 6: read, work, read again")
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer {
        set_memory,
        set_pids,
        spawn_in,
        fill,
        read_events,
        events_during,
    })
}
