//! The child sleeps for a moment, which is long enough on most days.

use std::{
    io::{self, Read},
    process::ExitCode,
    thread::sleep,
    time::Duration,
};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    sleep(Duration::from_millis(500));
    gate.wait.read_exact(&mut [0])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
