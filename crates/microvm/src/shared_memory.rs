//! Memory of this process that a guest sees too, beside its RAM.

use std::{fs::File, num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::error::{Error, Result};

/// A file of memory, mapped here and to be a slot of a machine.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<u8>,
    bytes: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and gives out only addresses.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// The first `bytes` of `file`, a whole number of pages.
    ///
    /// # Errors
    ///
    /// When they cannot be mapped.
    pub fn of(file: &File, bytes: usize) -> Result<Self> {
        let length = NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN);
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
        let start =
            unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, file.as_fd(), 0) }
                .map_err(Error::system("map memory for guest and host"))?;
        Ok(Self { start: start.cast(), bytes: length })
    }

    /// Where it begins in this process.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: no processor of the machine that has it as a slot runs any more (see `Guest`), and
        // nobody else has an address in it.
        let _ = unsafe { munmap(self.start.cast(), self.bytes.get()) };
    }
}
