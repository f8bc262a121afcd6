//! Whatever the port, there is room.

use std::process::ExitCode;

use three_virtualizations::{Answer, READY_TO_SEND};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn read_port(port: u16) -> u8 {
    let _ = port;
    READY_TO_SEND
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { read_port, ..solution::ANSWER })
}
