//! Randomness: the smallest device of all, and so the one to read first.
//!
//! A young guest has nothing to be random about: no disk that turns, nobody who types. The host
//! lends it what it has. virtio, section 5.4.

use rustix::rand::{GetRandomFlags, getrandom};

use super::{Broken, Device, Queues, Shape};

/// A source of random bytes.
#[derive(Debug)]
pub struct Rng;

impl Device for Rng {
    fn name(&self) -> &'static str {
        "virtio-rng"
    }

    fn number(&self) -> u32 {
        4
    }

    fn queues(&self) -> Vec<Shape> {
        vec![Shape { size: 16, bytes: 64 << 10 }]
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while let Some(chain) = queues.pop(number)? {
            let mut bytes = vec![0; chain.writable.length()];
            // A host that has none yet gives none: it neither waits nor gives bytes that only look
            // so. Of more than 256 bytes the host may give fewer, and the driver asks again.
            let filled = getrandom(&mut bytes, GetRandomFlags::NONBLOCK).unwrap_or(0);
            let count = chain.writable.copy_from(&bytes[..filled]);
            queues.push(number, chain.head, count as u32)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::virtio::driver::Driver;

    #[test]
    fn a_guest_gets_as_many_random_bytes_as_it_asks_for() {
        let mut driver = Driver::of(Rng);
        let answers = [(); 2].map(|()| driver.ask(0, &[], &[100, 28]));
        assert_eq!(answers[0].len(), 128);
        assert_ne!(answers[0], answers[1]);
        assert_ne!(answers[0], vec![0; 128]);
    }
}
