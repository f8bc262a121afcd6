//! The child asks for its map until it has one.

use std::{
    fs,
    io::{self, Read},
    process::ExitCode,
};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    while fs::read("/proc/self/uid_map")?.is_empty() {}
    gate.wait.read_exact(&mut [0])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
