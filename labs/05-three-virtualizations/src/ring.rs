//! A ring in the guest's memory, and the wire onto which its bytes go.

use std::{cell::Cell, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use microvm::memory::Memory;

/// Where the guest counts the bytes that it put into the ring.
pub(crate) const HEAD: u64 = 0x14_0000;
/// Where it may look how many were taken out.
pub(crate) const TAIL: u64 = 0x14_0040;
/// Where the ring begins.
pub(crate) const RING: u64 = 0x14_1000;

/// Bytes that the ring has room for.
pub const SIZE: u32 = 256;

/// A ring of [`SIZE`] bytes in the guest's memory, as the host sees it.
///
/// Both sides count bytes and never go back: after 4,294,967,295 a counter goes on with 0. Byte
/// number `n` lies at place `n % SIZE`.
///
/// ```text
///        tail: taken out by the host           head: put in by the guest
///          |                                     |
///   ... ---+=====================================+--- ...      head - tail bytes wait
/// ```
///
/// The guest may write anything to its memory at any time.
pub struct SharedRing {
    memory: Arc<Memory>,
    /// Kept here: what the guest can change is no memory of ours.
    tail: u32,
    /// How often the guest's counter was read.
    reads: Cell<u32>,
}

/// A guest's counter that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ring is broken: {head} bytes put in, {tail} taken out")]
pub struct Broken {
    /// What the guest says.
    pub head: u32,
    /// What we know.
    pub tail: u32,
}

impl SharedRing {
    /// An empty ring, after `start` bytes.
    pub(crate) fn new(memory: Arc<Memory>, start: u32) -> microvm::Result<Self> {
        memory.write("head", HEAD, &start.to_le_bytes())?;
        memory.write("tail", TAIL, &start.to_le_bytes())?;
        Ok(Self { memory, tail: start, reads: Cell::new(0) })
    }

    /// The same ring with other counters, and with the bytes of `places` in it.
    pub(crate) fn restart(&mut self, head: u32, tail: u32, places: &[u8]) -> microvm::Result<()> {
        self.memory.write("head", HEAD, &head.to_le_bytes())?;
        self.memory.write("ring", RING, places)?;
        self.set_tail(tail);
        self.reads.set(0);
        Ok(())
    }

    /// How often [`SharedRing::head`] was called since then.
    pub(crate) fn reads(&self) -> u32 {
        self.reads.get()
    }

    /// How many bytes the guest says it has put in. Each call reads the guest's memory anew.
    pub fn head(&self) -> u32 {
        self.reads.set(self.reads.get() + 1);
        let mut head = [0; 4];
        // The machine's memory is larger than that.
        let _ = self.memory.read("head", HEAD, &mut head);
        u32::from_le_bytes(head)
    }

    /// How many bytes the host has taken out.
    pub fn tail(&self) -> u32 {
        self.tail
    }

    /// Says how many it has taken out now.
    pub fn set_tail(&mut self, tail: u32) {
        self.tail = tail;
        // For the guest, which may look how much room there is.
        let _ = self.memory.write("tail", TAIL, &tail.to_le_bytes());
    }

    /// The byte at a place of the ring, counted from its begin. Behind its end lies what lies there
    /// in the guest's memory.
    pub fn byte(&self, place: u32) -> u8 {
        let mut byte = [0];
        // Not even memory of the guest's: ones, as from an empty bus.
        match self.memory.read("ring", RING + u64::from(place), &mut byte) {
            Ok(()) => byte[0],
            Err(_) => u8::MAX,
        }
    }
}

/// Where bytes go that have left the guest: a file in memory, so that others can look at it.
#[derive(Debug)]
pub struct Wire {
    file: File,
    sent: u64,
}

impl Wire {
    /// A guest that never stops sending is not listened to beyond this.
    const MOST: u64 = 1 << 16;

    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create(format!("wire-{name}"), flags)?;
        Ok(Self { file: file.into(), sent: 0 })
    }

    /// Sends a byte.
    pub fn send(&mut self, byte: u8) {
        if self.sent < Self::MOST {
            // Memory of our own: it has room for so little.
            let _ = self.file.write_all_at(&[byte], self.sent);
            self.sent += 1;
        }
    }
}
