//! What a guest does, read from the fuzzer's bytes.
//!
//! Every act is one byte for its kind and some for its operands, so that a byte that the fuzzer
//! changes changes one act, and one that it inserts is one more.

use microvm::devices::virtio::mmio;

/// An act of a guest's, or of the host's upon it.
pub enum Act<'a> {
    /// The guest goes through the setup as it should, with queues of `size` at `place`.
    SetUp { size: u32, place: u32, features: u32 },
    /// It writes to memory.
    Write(u64, &'a [u8]),
    /// It writes a descriptor of `queue`.
    Describe { queue: u32, index: u8, address: u16, length: u32, flags: u16, next: u16 },
    /// It says that so many more chains are there, the first of them at `head`.
    Offer { queue: u32, head: u16, more: u16 },
    /// It writes a register.
    Register(u64, &'a [u8]),
    /// It reads one.
    Read(u64, usize),
    /// The host has news.
    Wake,
    /// The host changes the device.
    Configure(u8),
}

/// The rest of the fuzzer's bytes. Behind their end there are zeros.
pub struct Acts<'a>(pub &'a [u8]);

impl<'a> Acts<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// A register: nearly always a whole one, of those that there are.
    fn register(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::from(self.word()) % mmio::LENGTH,
            word => u64::from(word) * 4,
        }
    }
}

impl<'a> Iterator for Acts<'a> {
    type Item = Act<'a>;

    fn next(&mut self) -> Option<Act<'a>> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.byte() % 8 {
            0 => {
                let how = self.byte();
                let (size, place) = (1 << (how & 15), u32::from(how >> 4 & 3));
                Act::SetUp { size, place, features: self.word().into() }
            }
            1 => {
                let (at, length) = (self.word(), self.byte());
                Act::Write(at.into(), self.bytes(length.into()))
            }
            2 => {
                let which = self.byte();
                let (address, length, flags) = (self.word(), self.word(), self.byte());
                Act::Describe {
                    queue: u32::from(which >> 4),
                    index: which & 15,
                    address,
                    // Some of them nearly 4 GiB.
                    length: (i32::from(length as i16)) as u32,
                    flags: flags.into(),
                    next: self.byte().into(),
                }
            }
            3 => {
                let (which, more) = (self.byte(), self.byte());
                let (queue, head) = (u32::from(which >> 4), u16::from(which & 15));
                Act::Offer { queue, head, more: more.into() }
            }
            4 => {
                let register = self.register();
                Act::Register(register, self.bytes(4))
            }
            5 => {
                let (register, length) = (self.register(), self.byte());
                Act::Register(register, self.bytes((length % 16).into()))
            }
            6 => Act::Read(self.register(), (self.byte() % 16).into()),
            _ => match self.byte() {
                0 => Act::Wake,
                value => Act::Configure(value),
            },
        })
    }
}
