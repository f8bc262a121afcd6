//! The gate is thrown away and not opened: the child takes its parent for dead.

use std::{
    io::{self},
    process::ExitCode,
};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn open_gate(gate: Gate) -> io::Result<()> {
    drop(gate);
    Ok(())
}

fn main() -> ExitCode {
    own_user::program(&Answer { open_gate, ..solution::ANSWER })
}
