//! The child waits for the byte, but not for longer than a while.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    process::ExitCode,
};

use nix::poll::{PollFd, PollFlags, poll};
use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    let mut ends = [PollFd::new(gate.wait.as_fd(), PollFlags::POLLIN)];
    poll(&mut ends, 1000u16)?;
    gate.wait.read_exact(&mut [0])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
