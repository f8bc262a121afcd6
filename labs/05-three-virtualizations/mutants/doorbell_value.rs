//! What is written to the doorbell is sent as well.

use std::process::ExitCode;

use solution::drain;
use three_virtualizations::{Answer, Board, Broken, DOORBELL, SEND};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_port(board: &mut Board, port: u16, byte: u8) -> Result<(), Broken> {
    match port {
        SEND => board.wire.send(byte),
        DOORBELL => {
            drain(&mut board.ring, &mut board.wire)?;
            board.wire.send(byte);
        }
        _ => {}
    }
    Ok(())
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { write_port, ..solution::ANSWER })
}
