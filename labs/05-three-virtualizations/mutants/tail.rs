//! Nobody notes what has been taken out.

use std::process::ExitCode;

use three_virtualizations::{Answer, Board, Broken, DOORBELL, SEND, SIZE, SharedRing, Wire};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_port(board: &mut Board, port: u16, byte: u8) -> Result<(), Broken> {
    match port {
        SEND => board.wire.send(byte),
        DOORBELL => drain(&mut board.ring, &mut board.wire)?,
        _ => {}
    }
    Ok(())
}

fn drain(ring: &mut SharedRing, wire: &mut Wire) -> Result<(), Broken> {
    let (head, tail) = (ring.head(), ring.tail());
    let waiting = head.wrapping_sub(tail);
    if waiting > SIZE {
        return Err(Broken { head, tail });
    }
    for number in 0..waiting {
        wire.send(ring.byte(tail.wrapping_add(number) % SIZE));
    }
    Ok(())
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { write_port, ..solution::ANSWER })
}
