//! The new process ends without having called `inside`.

use std::process::ExitCode;

use nix::{sched::CloneFlags, unistd::Pid};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, _inside: Inside) -> nix::Result<Pid> {
    (solution::ANSWER.spawn_isolated)(flags, Box::new(|| 0))
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
