//! What `inside` returns is dropped.

use std::process::ExitCode;

use nix::{sched::CloneFlags, unistd::Pid};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_isolated(flags: CloneFlags, mut inside: Inside) -> nix::Result<Pid> {
    let inside = Box::new(|| {
        inside();
        0
    });
    (solution::ANSWER.spawn_isolated)(flags, inside)
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
