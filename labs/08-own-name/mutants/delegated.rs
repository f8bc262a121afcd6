//! unshare(1) does the work.
//!
//! Caught as: delegated
//!
//! Not in the nest: there is no unshare(1) there.

use std::process::{Command, ExitCode};

use nix::{errno::Errno, sched::CloneFlags, unistd::Pid};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

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

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
