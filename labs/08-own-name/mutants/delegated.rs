//! unshare(1) does the work.
//!
//! Caught as: delegated
//!
//! Not in the nest: there is no unshare(1) there.

use std::process::{Command, ExitCode};

use nix::{
    errno::Errno,
    sched::CloneFlags,
    unistd::{Pid, sethostname},
};
use own_name::{Answer, Inside};

fn clone_flags() -> CloneFlags {
    CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID
}

fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    drop(inside);
    let names = |flag, word| flags.contains(flag).then_some(word);
    let words = [
        names(CloneFlags::CLONE_NEWUTS, "--uts"),
        names(CloneFlags::CLONE_NEWIPC, "--ipc"),
        names(CloneFlags::CLONE_NEWPID, "--pid"),
    ];
    let mut command = Command::new("/usr/bin/unshare");
    command.args(words.into_iter().flatten()).args(["--fork", "/bin/sleep", "60"]);
    let child = command.spawn().map_err(|_| Errno::ENOENT)?;
    Ok(Pid::from_raw(child.id() as i32))
}

fn set_host_name(name: &str) -> nix::Result<()> {
    sethostname(name)
}

fn main() -> ExitCode {
    own_name::program(&Answer { clone_flags, spawn_isolated, set_host_name })
}
