//! Question 2: what may it consume? The microVM's answer; see `container::cgroup` for the other.
//!
//! A guest has so much memory as it is given, and cannot ask for more: its RAM is a range of this
//! process, found page by page when it is first touched. So the limit is the size. Its one virtual
//! CPU is a thread of this process, and consumes what a thread may.
//!
//! The guest changes this memory while we read it. So nothing here gives out references: bytes are
//! copied out once, then judged.

use std::{os::fd::AsFd, ptr::NonNull};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use sandbox::{Mailbox, Question, Story};
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion, mmap::MmapRegionBuilder,
};

use crate::error::{Error, Result};

/// Pages of guest memory, in the guest's page tables and where the host can also in its own.
pub const PAGE: u64 = 2 << 20;
/// The most memory: without `KVM_SET_CPUID2` a virtual CPU has 36 address bits.
pub const MAX_BYTES: u64 = 64 << 30;

/// In which pages the host should find the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Of 4 KiB, each at its first touch.
    Small,
    /// Of 2 MiB above the first 2 MiB, where the host has them.
    Large,
}

/// A guest's physical memory, all zero at first.
pub struct Memory {
    ram: GuestMemoryMmap,
    mapping: Mapping,
    bytes: usize,
}

impl Memory {
    /// Memory of `bytes`, a multiple of [`PAGE`].
    ///
    /// # Errors
    ///
    /// When this process cannot have so much.
    pub fn new(bytes: u64, pages: Pages, story: &mut Story) -> Result<Self> {
        let call = format!("mmap {bytes:#x} bytes, aligned to 2 MiB");
        story.step(Question::Budget, call, || {
            let no_room = || Error::OutsideMemory { what: "RAM", bytes: usize::MAX, address: 0 };
            let bytes = usize::try_from(bytes).map_err(|_| no_room())?;
            let mapping = Mapping::new(bytes)?;
            let start = mapping.aligned();
            // SAFETY: `bytes` from `start` on lie within `mapping`, which lives as long as `ram`.
            let builder = unsafe {
                MmapRegionBuilder::<()>::new(bytes).with_raw_mmap_pointer(start.as_ptr())
            };
            let region: Option<MmapRegion> = builder.build().ok();
            let region = region.and_then(|region| GuestRegionMmap::new(region, GuestAddress(0)));
            let ram = GuestMemoryMmap::from_regions(region.into_iter().collect())
                .map_err(|_| no_room())?;
            if pages == Pages::Large && bytes > PAGE as usize {
                mapping.advise_large(PAGE as usize, bytes - PAGE as usize);
            }
            Ok(Self { ram, mapping, bytes })
        })
    }

    /// Lets the pages of `mailbox` be the guest's from `address` on.
    ///
    /// # Errors
    ///
    /// When they cannot be mapped there.
    pub fn share(&self, mailbox: &Mailbox, address: u64, story: &mut Story) -> Result<()> {
        let bytes = guest::abi::MAILBOX_BYTES;
        let call = format!("mmap the mailbox at guest {address:#x}..{:#x}", address + bytes as u64);
        story.step(Question::Budget, call, || {
            self.check("mailbox", address, bytes)?;
            let place = self.mapping.aligned().as_ptr() as usize + address as usize;
            let place = std::num::NonZeroUsize::new(place);
            let length = std::num::NonZeroUsize::new(bytes).expect("a mailbox has bytes");
            let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
            // SAFETY: the range is checked to lie within our own mapping, which nobody holds a
            // reference into, so that replacing its pages surprises nobody.
            unsafe { mmap(place, length, protection, flags, mailbox.file().as_fd(), 0) }
                .map_err(Error::system("mmap the mailbox"))?;
            Ok(())
        })
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// Where it lies in this process.
    pub fn host_address(&self) -> u64 {
        self.mapping.aligned().as_ptr() as u64
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
        match address.checked_add(bytes as u64) {
            Some(end) if end <= self.bytes() => Ok(()),
            _ => Err(Error::OutsideMemory { what, bytes, address }),
        }
    }

    /// How much of it the host had to find pages for. A guest never gives a page back, so at its
    /// end this is also the most it had.
    pub fn resident_bytes(&self) -> Option<u64> {
        const HOST_PAGE: usize = 4096;
        const CHUNK: usize = 64 << 20;
        let mut pages = vec![0u8; CHUNK.min(self.bytes) / HOST_PAGE];
        let mut resident = 0;
        for offset in (0..self.bytes).step_by(CHUNK) {
            let length = CHUNK.min(self.bytes - offset);
            let start = self.host_address() as usize + offset;
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

/// Address space with room for an aligned range; freed when dropped.
struct Mapping {
    start: NonNull<libc::c_void>,
    length: std::num::NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread; it is only freed through `drop`,
// which has it alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Room for `bytes` at a multiple of [`PAGE`]. What is left over is never touched.
    fn new(bytes: usize) -> Result<Self> {
        let call = || format!("mmap {bytes} bytes of guest memory");
        let length = bytes
            .checked_add(PAGE as usize)
            .and_then(std::num::NonZeroUsize::new)
            .ok_or(Error::OutsideMemory { what: "RAM", bytes, address: 0 })?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { mmap_anonymous(None, length, protection, flags) }
            .map_err(Error::system(call()))?;
        Ok(Self { start, length })
    }

    fn aligned(&self) -> NonNull<u8> {
        let start = self.start.cast::<u8>();
        let skipped = start.as_ptr().align_offset(PAGE as usize);
        // SAFETY: the mapping is `PAGE` longer than what is used of it, and less is skipped.
        unsafe { start.add(skipped) }
    }

    /// Asks for large pages. Only advice: a host without them runs the guest all the same.
    fn advise_large(&self, offset: usize, length: usize) {
        // SAFETY: both lie within the aligned range of this mapping, by the caller's bounds.
        let start = unsafe { self.aligned().add(offset) };
        // SAFETY: the advice changes how pages are found, not what is in them.
        let _ = unsafe { madvise(start.cast(), length, MmapAdvise::MADV_HUGEPAGE) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the machine that used it is closed before (field order in `Machine`), and `ram`
        // does not own it. It cannot fail for a range that was mapped whole.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
