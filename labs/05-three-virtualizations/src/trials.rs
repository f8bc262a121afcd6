//! What the guests do not do: each function is called by itself, and the check looks what came of it.

use lab::program::{Host, Trouble};

use crate::{Answer, Board, DOORBELL, LINE_STATUS, SIZE};

/// A ring before the doorbell rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// What it is about.
    pub name: &'static str,
    /// The bytes put in.
    pub head: u32,
    /// The bytes taken out.
    pub tail: u32,
}

impl Trial {
    /// Those of a ring that has seen `start` bytes.
    pub fn all(start: u32) -> [Self; 6] {
        // Three places in the middle of the ring.
        let middle = (start & !(SIZE - 1)) | 100;
        let trial = |name, head, tail| Self { name, head, tail };
        [
            trial("three", middle.wrapping_add(3), middle),
            trial("none", middle, middle),
            // Both the counters and the ring wrap.
            trial("wrapped", 3, u32::MAX - 1),
            trial("whole", start.wrapping_add(SIZE), start),
            trial("too-many", start.wrapping_add(SIZE + 1), start),
            trial("backwards", start.wrapping_sub(1), start),
        ]
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> u32 {
        self.head.wrapping_sub(self.tail)
    }

    /// Those that must be sent; none where the guest lies.
    pub fn wanted(&self, places: &[u8]) -> Vec<u8> {
        let count = if self.waiting() > SIZE { 0 } else { self.waiting() };
        let place = |number: u32| (self.tail.wrapping_add(number) % SIZE) as usize;
        (0..count).map(|number| places[place(number)]).collect()
    }
}

/// Registers that are there, and one that is not.
pub(super) fn ports(host: &Host, answer: &Answer, board: &mut Board) -> Result<(), Trouble> {
    let nowhere = host.number("nowhere", 0x80) as u16;
    host.say("line-status", (answer.read_port)(LINE_STATUS));
    host.say("nowhere", (answer.read_port)(nowhere));
    host.meet("registers");
    host.step("write_port", || (answer.write_port)(board, nowhere, b'x'))?;
    host.meet("ports");
    Ok(())
}

/// The doorbell rings, for each ring.
pub(super) fn ring(host: &Host, answer: &Answer, board: &mut Board) -> Result<(), Trouble> {
    let start = host.number("start", 0) as u32;
    let places: Vec<u8> = places(host.number("places", 0) as u32);
    for trial in Trial::all(start) {
        host.step("write the ring", || board.ring.restart(trial.head, trial.tail, &places))?;
        let rung = (answer.write_port)(board, DOORBELL, host.number("bell", 0) as u8);
        host.say("rung", if rung.is_ok() { "success" } else { "an error" });
        host.say("tail", board.ring.tail());
        host.say("reads", board.ring.reads());
        host.meet(&format!("ring-{}", trial.name));
    }
    Ok(())
}

/// What lies in the ring, all of it different from its neighbours, and behind its end.
pub fn places(first: u32) -> Vec<u8> {
    (0..SIZE).map(|place| (first.wrapping_add(place * 167)) as u8).collect()
}
