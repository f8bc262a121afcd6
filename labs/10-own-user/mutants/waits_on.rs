//! A loop until there is a byte: at the end of file there never is one.

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
    while gate.wait.read(&mut [0])? == 0 {}
    Ok(())
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
