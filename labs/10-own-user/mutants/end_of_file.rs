//! The read's result is not looked at: at the end of file it is 0.

use std::{
    io::{self, Read},
    process::ExitCode,
};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    gate.wait.read(&mut [0]).map(drop)
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
