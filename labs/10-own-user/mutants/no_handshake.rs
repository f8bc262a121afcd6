//! The child does not wait: it executes its program before it is anybody, and loses all capabilities.

use std::{
    io::{self},
    process::ExitCode,
};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(_gate: Gate) -> io::Result<()> {
    Ok(())
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
