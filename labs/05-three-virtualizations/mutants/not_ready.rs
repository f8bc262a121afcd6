//! The line status says nothing, so there is never room.

use std::process::ExitCode;

use three_virtualizations::{Answer, LINE_STATUS};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn read_port(port: u16) -> u8 {
    match port {
        LINE_STATUS => 0,
        _ => 0xff,
    }
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { read_port, ..solution::ANSWER })
}
