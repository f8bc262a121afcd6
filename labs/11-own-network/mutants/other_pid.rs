//! The PID of the caller, not of the new process.

use std::process::ExitCode;

use nix::unistd::{Pid, getpid};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(inside: Inside) -> nix::Result<Pid> {
    (solution::ANSWER.spawn)(inside)?;
    Ok(getpid())
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
