//! The number that the new process has inside, where the one outside is asked for.

use std::process::ExitCode;

use nix::{sched::CloneFlags, unistd::Pid};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, inside: Inside) -> nix::Result<Pid> {
    (solution::ANSWER.spawn_isolated)(flags, inside)?;
    Ok(Pid::from_raw(1))
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
