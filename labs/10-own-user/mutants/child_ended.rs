//! The child has nothing to do yet, so it exits.

use std::{io, process::ExitCode};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(gate: Gate) -> io::Result<()> {
    drop(gate);
    std::process::exit(0)
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
