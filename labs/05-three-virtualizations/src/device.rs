//! A device that is one page of memory, and nothing else.
//!
//! ```text
//!   page of the device     0x000  1000 bytes, from the guest
//!                          0x800  a word from the device: "I want them"
//!                          0x840  the same word from the guest: "they are there"
//!                          0x880  a word from the device: "stop"
//! ```
//!
//! A real one is a page of a PCI card's registers, which VFIO hands to a guest (Linux,
//! `Documentation/driver-api/vfio.rst`). Here it is a file in memory, and who has the file is the
//! device: the check, or this program when it is run by hand.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

/// Where in the page the device writes a word: it wants the bytes.
pub const WANTED: u64 = 0x800;
/// Where the guest answers with the same word: the bytes are there.
pub const THERE: u64 = 0x840;
/// Where the device writes that the guest is to end.
pub const STOP: u64 = 0x880;

/// The device's page.
pub(crate) struct Device {
    page: File,
}

impl Device {
    const BYTES: u64 = 4096;

    pub(crate) fn new() -> io::Result<Self> {
        let page = rustix::fs::memfd_create("device", rustix::fs::MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&page, Self::BYTES)?;
        Ok(Self { page: page.into() })
    }

    pub(crate) fn page(&self) -> &File {
        &self.page
    }

    /// What the check does else: asks for the bytes, waits for them, and lets the guest end.
    pub(crate) fn play(&self) -> io::Result<()> {
        const WORD: u32 = 0x600d_f00d;
        self.page.write_all_at(&WORD.to_le_bytes(), WANTED)?;
        let began = Instant::now();
        let mut answer = [0; 4];
        while answer != WORD.to_le_bytes() {
            if began.elapsed() > Duration::from_secs(2) {
                eprintln!("  the guest does not answer at its device; nothing more will come");
                std::process::exit(1);
            }
            std::thread::sleep(Duration::from_millis(1));
            self.page.read_exact_at(&mut answer, THERE)?;
        }
        self.page.write_all_at(&1u32.to_le_bytes(), STOP)
    }
}
