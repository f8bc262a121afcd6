//! The end that is read from is closed, and not the other.

use std::{io, process::ExitCode, thread::sleep, time::Duration};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(gate: Gate) -> io::Result<()> {
    drop(gate.wait);
    sleep(Duration::from_millis(500));
    drop(gate.open);
    Ok(())
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
