//! The child reads to the end of file.

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
    let mut bytes = Vec::new();
    match gate.wait.read_to_end(&mut bytes)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
