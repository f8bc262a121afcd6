//! Passthrough: memory that guest and host both see, and no device at all.
//!
//! With a serial port, each byte is a trip to the host; with virtio, each buffer is. Here the guest
//! writes to memory, and the host finds it there when it looks: no trip. That is how a device that
//! is passed through to a guest is used, and what it costs is the same: somebody must look, and
//! both must trust the memory to be where it was agreed to be. How the bytes lie in it is in
//! `guest::ring`.

use std::fs::File;

use guest::ring::{BYTES_AT, TAKEN, WRITTEN};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Error, Result};
use crate::shared_memory::SharedMemory;

/// Where the guest finds it: among the devices, where it is no RAM of Linux's.
pub const ADDRESS: u64 = 0xd800_0000;
/// Its length.
pub const BYTES: usize = 64 << 10;

/// The host's end of a page.
#[derive(Debug)]
pub struct Page {
    memory: SharedMemory,
    taken: u64,
}

impl Page {
    /// Memory, all zero.
    ///
    /// # Errors
    ///
    /// When this process cannot have it.
    pub fn new() -> Result<Self> {
        let call = "memfd_create for guest and host";
        let file = memfd_create(c"isolab-page", MFdFlags::MFD_CLOEXEC)
            .map_err(Error::system(call))
            .map(File::from)?;
        file.set_len(BYTES as u64).map_err(Error::system::<std::io::Error>(call))?;
        Ok(Self { memory: SharedMemory::of(&file, BYTES)?, taken: 0 })
    }

    /// What the machine gets a slot for.
    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    fn count(&self, index: usize) -> *mut u64 {
        // The counts lie at the start of the mapping, which is aligned to pages.
        self.memory.start().cast::<u64>().wrapping_add(index)
    }

    fn byte(&self, place: usize) -> *mut u8 {
        self.memory.start().wrapping_add(place)
    }

    /// What the guest has written since the last look. A count that no guest of ours would write
    /// gives no more than the page holds.
    pub fn take(&mut self) -> Vec<u8> {
        let room = (BYTES - BYTES_AT) as u64;
        // SAFETY: within the mapping; the guest changes it, so it is read once.
        let written = unsafe { self.count(WRITTEN).read_volatile() };
        let count = written.wrapping_sub(self.taken).min(room);
        let place = |number: u64| BYTES_AT + (self.taken.wrapping_add(number) % room) as usize;
        let bytes = (0..count)
            // SAFETY: each place lies between the counts and the end of the mapping.
            .map(|number| unsafe { self.byte(place(number)).read_volatile() })
            .collect();
        self.taken = written;
        // SAFETY: within the mapping; only this side writes it.
        unsafe { self.count(TAKEN).write_volatile(written) };
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes as the guest does.
    fn write(page: &Page, written: u64, bytes: &[u8]) {
        let room = BYTES - BYTES_AT;
        for (number, byte) in bytes.iter().enumerate() {
            let place = BYTES_AT + (written as usize + number) % room;
            // SAFETY: the place lies within the mapping.
            unsafe { page.byte(place).write_volatile(*byte) };
        }
        // SAFETY: as above.
        unsafe { page.count(WRITTEN).write_volatile(written + bytes.len() as u64) };
    }

    #[test]
    fn what_one_side_writes_the_other_takes_once_and_around_the_end() {
        let mut page = Page::new().unwrap();
        assert!(page.take().is_empty());
        let piece = vec![7; BYTES - BYTES_AT - 3];
        write(&page, 0, &piece);
        assert_eq!(page.take(), piece);
        write(&page, piece.len() as u64, b"around");
        assert_eq!(page.take(), b"around");
        assert!(page.take().is_empty());
    }

    #[test]
    fn a_count_that_is_a_lie_gives_no_more_than_there_is() {
        let mut page = Page::new().unwrap();
        write(&page, u64::MAX - 1, b"");
        assert!(page.take().len() <= BYTES);
        write(&page, 3, b"");
        assert!(page.take().len() <= BYTES);
    }
}
