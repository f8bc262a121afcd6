//! The end to read from does not block: a read from the empty pipe is an error.

use std::{
    io::{self, Read},
    process::ExitCode,
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    fcntl(&gate.wait, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    gate.wait.read_exact(&mut [0])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
