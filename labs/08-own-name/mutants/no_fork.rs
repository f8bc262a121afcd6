//! unshare(CLONE_NEWPID) without a new process: the caller keeps its number.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Pid, sethostname},
};
use own_name::{Answer, Inside};

fn clone_flags() -> CloneFlags {
    CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID
}

fn spawn_isolated(flags: CloneFlags, mut inside: Inside) -> nix::Result<Pid> {
    unshare(flags)?;
    std::process::exit(inside() as i32)
}

fn set_host_name(name: &str) -> nix::Result<()> {
    sethostname(name)
}

fn main() -> ExitCode {
    own_name::program(&Answer { clone_flags, spawn_isolated, set_host_name })
}
