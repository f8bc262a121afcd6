//! sethostname(2) before there is a namespace: the host is renamed, and the child inherits it.

use std::process::ExitCode;

use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::{Pid, sethostname},
};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    sethostname(
        std::env::args()
            .find_map(|word| Some(word.strip_prefix("name=")?.to_owned()))
            .unwrap_or_default(),
    )?;
    let mut stack = vec![0; 1 << 20];
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    unsafe { clone(inside, &mut stack, flags, Some(Signal::SIGCHLD as i32)) }
}

fn set_host_name(name: &str) -> nix::Result<()> {
    let _ = name;
    Ok(())
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, set_host_name, ..solution::ANSWER })
}
