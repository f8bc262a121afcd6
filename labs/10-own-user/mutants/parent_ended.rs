//! The parent has done its part, so it exits.

use std::{io, process::ExitCode};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn open_gate(gate: Gate) -> io::Result<()> {
    drop(gate);
    std::process::exit(0)
}

fn main() -> ExitCode {
    own_user::program(&Answer { open_gate, ..solution::ANSWER })
}
