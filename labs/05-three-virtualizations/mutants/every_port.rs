//! Whatever the port, the byte is sent.

use std::process::ExitCode;

use solution::drain;
use three_virtualizations::{Answer, Board, Broken, DOORBELL};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_port(board: &mut Board, port: u16, byte: u8) -> Result<(), Broken> {
    match port {
        DOORBELL => drain(&mut board.ring, &mut board.wire)?,
        _ => board.wire.send(byte),
    }
    Ok(())
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { write_port, ..solution::ANSWER })
}
