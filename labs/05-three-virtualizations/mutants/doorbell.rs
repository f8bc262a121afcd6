//! The doorbell is a port like any other: nobody comes.

use std::process::ExitCode;

use three_virtualizations::{Answer, Board, Broken, SEND};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_port(board: &mut Board, port: u16, byte: u8) -> Result<(), Broken> {
    if port == SEND {
        board.wire.send(byte);
    }
    Ok(())
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { write_port, ..solution::ANSWER })
}
