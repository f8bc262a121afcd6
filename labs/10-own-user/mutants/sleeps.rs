//! The child sleeps for a moment, which is long enough on most days.

use std::{
    io::{self},
    process::ExitCode,
    thread::sleep,
    time::Duration,
};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(_gate: Gate) -> io::Result<()> {
    sleep(Duration::from_secs(2));
    Ok(())
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
