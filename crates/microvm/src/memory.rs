//! Question 2: what may it consume? The microVM's answer; see `container::cgroup` for the other.
//!
//! A guest has so much memory as it is given, and cannot ask for more: its RAM is a range of this
//! process, found page by page when it is first touched. So the limit is the size. Its one virtual
//! CPU is a thread of this process, and consumes what a thread may.
//!
//! The guest changes this memory while we read it. So nothing here gives out references: bytes are
//! copied out once, then judged.

use std::{fs::File, sync::Arc};

use nix::sys::{mman::MapFlags, sysinfo::sysinfo};
use sandbox::{Mailbox, Question, Trace};
use vm_memory::{
    Address, Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryError, GuestMemoryRegion,
};

use crate::{
    error::{Error, Result},
    ram::{Mapping, Ram},
};

pub use crate::layout::{DEVICE_GAP, MAX_BYTES, PAGE};

/// Refuses more memory than the host has. A guest gets its memory page by page, so that it would
/// start, believe that it has so much, and be killed in the middle of its work.
///
/// # Errors
///
/// When `bytes` are more than the host's memory and swap together.
pub fn check_host_has(bytes: u64) -> Result<()> {
    // A host that does not tell is believed to have enough.
    let Ok(host) = sysinfo() else { return Ok(()) };
    let total = host.ram_total().saturating_add(host.swap_total());
    if bytes <= total {
        return Ok(());
    }
    let (bytes, total) = (bytes.div_ceil(1 << 20), total >> 20);
    Err(Error::Unsupported {
        what: format!("have {bytes} MiB of memory: this host has {total} MiB, with its swap"),
        fix: format!(
            "use --memory {total}M or less (a nest is given more by `isolab nest --memory`)"
        ),
    })
}

/// In which pages the host should find the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Of 4 KiB, each at its first touch.
    Small,
    /// Of 2 MiB above the first 2 MiB, where the host has them.
    Large,
}

/// What is in a memory at first.
#[derive(Clone, Copy)]
enum Content<'f> {
    /// Nothing, in such pages.
    Zeros(Pages),
    /// What is in this file, which is as long.
    Of(&'f File),
}

/// A guest's physical memory.
pub struct Memory {
    ram: Ram,
    mapping: Arc<Mapping>,
    bytes: usize,
    is_of_file: bool,
}

impl Memory {
    /// Memory of `bytes`, a multiple of [`PAGE`], from address 0 on.
    ///
    /// # Errors
    ///
    /// When this process cannot have so much.
    pub fn new(bytes: u64, pages: Pages, trace: &mut Trace) -> Result<Self> {
        Self::with_pieces(&[(0, bytes)], Content::Zeros(pages), trace)
    }

    /// Memory of `bytes`, a multiple of [`PAGE`], around the [`DEVICE_GAP`].
    ///
    /// # Errors
    ///
    /// When this process cannot have so much.
    pub fn of_a_pc(bytes: u64, trace: &mut Trace) -> Result<Self> {
        Self::around_the_gap(bytes, Content::Zeros(Pages::Large), trace)
    }

    /// The same with what is in `file`, which has so many bytes: a page of it is read when it is
    /// first touched, and copied when it is first written. The file must stay as it is for as long
    /// as this lives: what is changed in it may change here, and where it was cut off, a touch
    /// ends this process.
    ///
    /// # Errors
    ///
    /// When it cannot be mapped.
    pub fn of_file(file: &File, bytes: u64, trace: &mut Trace) -> Result<Self> {
        Self::around_the_gap(bytes, Content::Of(file), trace)
    }

    fn around_the_gap(bytes: u64, content: Content<'_>, trace: &mut Trace) -> Result<Self> {
        let low = bytes.min(DEVICE_GAP.start);
        let pieces = [(0, low), (DEVICE_GAP.end, bytes - low)];
        let count = if low < bytes { 2 } else { 1 };
        Self::with_pieces(&pieces[..count], content, trace)
    }

    /// Memory in pieces, each with its address and its size.
    fn with_pieces(pieces: &[(u64, u64)], content: Content<'_>, trace: &mut Trace) -> Result<Self> {
        let bytes: u64 = pieces.iter().map(|(_, bytes)| bytes).sum();
        let what = if let Content::Of(_) = content { " of a file, privately" } else { "" };
        let call = format!("mmap {bytes:#x} bytes{what}, aligned to 2 MiB");
        trace.record(Question::Budget, call, || {
            let no_room = || Error::OutsideMemory { what: "RAM", bytes: usize::MAX, address: 0 };
            let bytes = usize::try_from(bytes).map_err(|_| no_room())?;
            let mapping = Arc::new(Mapping::new(bytes)?);
            let mut regions = Vec::new();
            let mut offset = 0;
            for &(address, bytes) in pieces {
                regions.extend(mapping.region(offset, bytes as usize, address));
                offset += bytes as usize;
            }
            let ram = Ram::from_regions(regions).map_err(|_| no_room())?;
            match content {
                Content::Of(file) => mapping.put(0, bytes, MapFlags::MAP_PRIVATE, file)?,
                Content::Zeros(Pages::Large) if bytes > PAGE as usize => {
                    mapping.advise_large_from(PAGE as usize);
                }
                Content::Zeros(_) => {}
            }
            let is_of_file = matches!(content, Content::Of(_));
            Ok(Self { ram, mapping, bytes, is_of_file })
        })
    }

    /// Lets the pages of `mailbox` be the guest's from `address` on.
    ///
    /// # Errors
    ///
    /// When they cannot be mapped there.
    pub fn share(&self, mailbox: &Mailbox, address: u64, trace: &mut Trace) -> Result<()> {
        let bytes = guest::abi::MAILBOX_BYTES;
        let call = format!("mmap the mailbox at guest {address:#x}..{:#x}", address + bytes as u64);
        trace.record(Question::Budget, call, || {
            self.check("mailbox", address, bytes)?;
            self.mapping.put(address as usize, bytes, MapFlags::MAP_SHARED, mailbox.file())
        })
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// Its pieces: the guest's address of each, its size, and where it lies in this process.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.ram
            .iter()
            .map(|region| (region.start_addr().raw_value(), region.len(), region.host_address()))
    }

    /// The same memory for a device that reads what lies where the guest says. A clone keeps it.
    pub fn ram(&self) -> &Ram {
        &self.ram
    }

    /// Copies `bytes` to the guest's `address`.
    ///
    /// # Errors
    ///
    /// When they do not fit.
    pub fn write(&self, what: &'static str, address: u64, bytes: &[u8]) -> Result<()> {
        self.check(what, address, bytes.len())?;
        let outside = |_| Error::OutsideMemory { what, bytes: bytes.len(), address };
        self.ram.write_slice(bytes, GuestAddress(address)).map_err(outside)
    }

    /// Reads `bytes` from `file` straight to the guest's `address`.
    ///
    /// # Errors
    ///
    /// When they do not fit, or when the file has fewer.
    pub fn fill(&self, what: &'static str, address: u64, file: &File, bytes: usize) -> Result<()> {
        self.check(what, address, bytes)?;
        let mut file = file;
        let read = self.ram.read_exact_volatile_from(GuestAddress(address), &mut file, bytes);
        read.map_err(|error| Error::System {
            call: format!("read the {what} into the guest's memory").into(),
            source: match error {
                GuestMemoryError::IOError(source) => source,
                other => std::io::Error::other(other),
            },
        })
    }

    /// Copies `N` bytes out of the guest's `address`.
    ///
    /// # Errors
    ///
    /// When there are not so many.
    pub fn read(&self, what: &'static str, address: u64, bytes: &mut [u8]) -> Result<()> {
        let length = bytes.len();
        self.check(what, address, length)?;
        let outside = |_| Error::OutsideMemory { what, bytes: length, address };
        self.ram.read_slice(bytes, GuestAddress(address)).map_err(outside)
    }

    fn check(&self, what: &'static str, address: u64, bytes: usize) -> Result<()> {
        match self.ram.check_range(GuestAddress(address), bytes) {
            true => Ok(()),
            false => Err(Error::OutsideMemory { what, bytes, address }),
        }
    }

    /// How much of it the host had to find pages for. A guest never gives a page back, so at its
    /// end this is also the most it had. Of memory that is a file it is not known: what is in the
    /// host's cache may be there for others.
    pub fn resident_bytes(&self) -> Option<u64> {
        if self.is_of_file {
            return None;
        }
        const HOST_PAGE: usize = 4096;
        const CHUNK: usize = 64 << 20;
        let mut pages = vec![0u8; CHUNK.min(self.bytes) / HOST_PAGE];
        let mut resident = 0;
        for offset in (0..self.bytes).step_by(CHUNK) {
            let length = CHUNK.min(self.bytes - offset);
            let start = self.mapping.aligned().as_ptr() as usize + offset;
            // SAFETY: mincore(2) only reads page tables of our own mapping, and `pages` has a byte
            // for each page of the chunk.
            let result = unsafe { libc::mincore(start as *mut _, length, pages.as_mut_ptr()) };
            if result != 0 {
                return None;
            }
            let seen = &pages[..length / HOST_PAGE];
            resident += seen.iter().filter(|page| **page & 1 == 1).count() * HOST_PAGE;
        }
        Some(resident as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_of_the_ram_outlives_the_memory_that_it_is_of() {
        let memory = Memory::of_a_pc(2 * PAGE, &mut Trace::new(false)).unwrap();
        memory.write("text", 0x1000, b"still here").unwrap();
        let (_, _, place) = memory.pieces().next().unwrap();
        let (ram, mapping) = (memory.ram().clone(), Arc::downgrade(&memory.mapping));
        drop(memory);
        assert!(mapping.upgrade().is_some(), "the pages were freed under a clone");
        let mut text = [0; 10];
        ram.read_slice(&mut text, GuestAddress(0x1000)).unwrap();
        assert_eq!(&text, b"still here");
        let region = ram.iter().next().unwrap().get_slice(Default::default(), 16).unwrap();
        assert_eq!(region.ptr_guard().as_ptr() as u64, place);
        drop(ram);
        assert!(mapping.upgrade().is_none(), "nobody has it, and it is still there");
    }
}
