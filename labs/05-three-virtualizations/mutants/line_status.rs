//! All bits of the line status are set: room, but errors too.

use std::process::ExitCode;

use three_virtualizations::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn read_port(port: u16) -> u8 {
    let _ = port;
    0xff
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { read_port, ..solution::ANSWER })
}
