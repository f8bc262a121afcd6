//! A port at which a guest says that it may be frozen, and learns who and when it is.
//!
//! Whoever wakes from a copy of a guest's memory has the guest's past: its random numbers that come
//! next, and its idea of what day it is. Two clones would make the same keys. So isolab's first
//! process stops here before it starts the command (`freeze` in `guest::plan`), and asks, by reads
//! of 32 bits, for what only the host knows:
//!
//! ```text
//!   write  any byte           I may be frozen after this instruction
//!   read   8 x 32 bits        a seed for random numbers
//!          2 x 32 bits        nanoseconds since 1970, low half first
//! ```
//!
//! If it is saved, then between the write and the first read: what is read is made when it is asked
//! for, so each clone gets its own. A guest that is not saved gets both too, and can do without a
//! clock of an AT and without a device for randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use super::bus::Device;

/// Where it is.
pub const PORT: u16 = 0xf8;
/// One register of four bytes.
pub const LENGTH: u64 = 4;

const WORD: usize = 4;
const SEED: usize = 32;
const BYTES: usize = SEED + 8;

/// The port, and who is told that the guest may be frozen.
pub struct FreezePort<F> {
    freeze_point: F,
    answer: [u8; BYTES],
    read: usize,
}

impl<F: FnMut() + Send> FreezePort<F> {
    /// A port that calls `freeze_point` when it is written to.
    pub fn new(freeze_point: F) -> Self {
        Self { freeze_point, answer: [0; BYTES], read: 0 }
    }
}

/// A seed and the time. A host that is too young for random numbers gives such as it has: a guess
/// away for one who knows the host, but no two alike. One that has none (before Linux 5.6) gives
/// zeros, which the guest knows to be no seed.
fn answer() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    // So few bytes come whole or not at all (getrandom(2)).
    let ways = [GetRandomFlags::NONBLOCK, GetRandomFlags::INSECURE];
    let _ = ways.into_iter().any(|way| getrandom(&mut bytes[..SEED], way).is_ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = now.as_nanos() as u64;
    bytes[SEED..].copy_from_slice(&nanoseconds.to_le_bytes());
    bytes
}

impl<F: FnMut() + Send> Device for FreezePort<F> {
    fn name(&self) -> &'static str {
        "freeze"
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if (offset, data.len()) != (0, WORD) {
            return;
        }
        if self.read == 0 {
            self.answer = answer();
        }
        data.copy_from_slice(&self.answer[self.read..self.read + WORD]);
        // Nobody else gets the same.
        self.answer[self.read..self.read + WORD].fill(0);
        self.read = (self.read + WORD) % BYTES;
    }

    fn write(&mut self, _: u64, _: &[u8]) {
        self.read = 0;
        (self.freeze_point)();
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn ask(port: &mut impl Device) -> Vec<u8> {
        let mut bytes = vec![0; BYTES];
        bytes.chunks_mut(WORD).for_each(|word| port.read(0, word));
        bytes
    }

    #[test]
    fn each_who_asks_gets_a_seed_of_its_own_and_the_time() {
        let mut frozen = 0;
        let mut port = FreezePort::new(|| frozen += 1);
        port.write(0, &[0]);
        let answers = [(); 2].map(|()| ask(&mut port));
        port.read(0, &mut [0; WORD]);
        port.write(0, &[0]);
        let again = ask(&mut port);
        assert_ne!(answers[0][..SEED], answers[1][..SEED]);
        assert_ne!(again[..SEED], [0; SEED]);
        let time = u64::from_le_bytes(again[SEED..].try_into().unwrap());
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        assert!(now - time < 60_000_000_000, "{time} at {now}");
        assert_eq!(frozen, 2);
    }

    #[test]
    fn reads_of_another_width_get_nothing_and_take_nothing() {
        let mut port = FreezePort::new(|| ());
        for (offset, length) in [(0, 1), (0, 2), (1, 3), (0, 0), (0, 64)] {
            let mut data = vec![7; length];
            port.read(offset, &mut data);
            assert_eq!(data, vec![0; length]);
        }
        assert_eq!(port.read, 0);
    }
}
