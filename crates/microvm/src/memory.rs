//! Question 2: what may it consume? The microVM's answer; see `container::cgroup` for the other.
//!
//! A guest has so much memory as it is given, and cannot ask for more: its RAM is a range of this
//! process, found page by page when it is first touched. So the limit is the size. Its one virtual
//! CPU is a thread of this process, and consumes what a thread may.
//!
//! The guest changes this memory while we read it. So nothing here gives out references: bytes are
//! copied out once, then judged.

use std::{fs::File, ops::Range, os::fd::AsFd, ptr::NonNull};

use nix::sys::{
    mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap},
    sysinfo::sysinfo,
};
use sandbox::{Mailbox, Question, Story};
use vm_memory::{
    Address, Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryError, GuestMemoryMmap,
    GuestMemoryRegion, GuestRegionMmap, MmapRegion, mmap::MmapRegionBuilder,
};

use crate::error::{Error, Result};

/// Pages of guest memory, in the guest's page tables and where the host can also in its own.
pub const PAGE: u64 = 2 << 20;
/// The most memory: without `KVM_SET_CPUID2` a virtual CPU has 36 address bits.
pub const MAX_BYTES: u64 = 64 << 30;

/// Where a PC has no memory but devices: the last GiB that 32 bits can name. The interrupt
/// controllers lie there at fixed places (SDM volume 3, section 11.4), and what is asked for
/// beyond 3 GiB continues behind it.
pub const DEVICE_GAP: Range<u64> = 0xc000_0000..0x1_0000_0000;

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
    ram: GuestMemoryMmap,
    mapping: Mapping,
    bytes: usize,
    is_of_file: bool,
}

impl Memory {
    /// Memory of `bytes`, a multiple of [`PAGE`], from address 0 on.
    ///
    /// # Errors
    ///
    /// When this process cannot have so much.
    pub fn new(bytes: u64, pages: Pages, story: &mut Story) -> Result<Self> {
        Self::with_pieces(&[(0, bytes)], Content::Zeros(pages), story)
    }

    /// Memory of `bytes`, a multiple of [`PAGE`], around the [`DEVICE_GAP`].
    ///
    /// # Errors
    ///
    /// When this process cannot have so much.
    pub fn of_a_pc(bytes: u64, story: &mut Story) -> Result<Self> {
        Self::around_the_gap(bytes, Content::Zeros(Pages::Large), story)
    }

    /// The same with what is in `file`, which has so many bytes: a page of it is read when it is
    /// first touched, and copied when it is first written. The file must stay as it is for as long
    /// as this lives: what is changed in it may change here, and where it was cut off, a touch
    /// ends this process.
    ///
    /// # Errors
    ///
    /// When it cannot be mapped.
    pub fn of_file(file: &File, bytes: u64, story: &mut Story) -> Result<Self> {
        Self::around_the_gap(bytes, Content::Of(file), story)
    }

    fn around_the_gap(bytes: u64, content: Content<'_>, story: &mut Story) -> Result<Self> {
        let low = bytes.min(DEVICE_GAP.start);
        let pieces = [(0, low), (DEVICE_GAP.end, bytes - low)];
        let count = if low < bytes { 2 } else { 1 };
        Self::with_pieces(&pieces[..count], content, story)
    }

    /// Memory in pieces, each with its address and its size.
    fn with_pieces(pieces: &[(u64, u64)], content: Content<'_>, story: &mut Story) -> Result<Self> {
        let bytes: u64 = pieces.iter().map(|(_, bytes)| bytes).sum();
        let what = if let Content::Of(_) = content { " of a file, privately" } else { "" };
        let call = format!("mmap {bytes:#x} bytes{what}, aligned to 2 MiB");
        story.step(Question::Budget, call, || {
            let no_room = || Error::OutsideMemory { what: "RAM", bytes: usize::MAX, address: 0 };
            let bytes = usize::try_from(bytes).map_err(|_| no_room())?;
            let mapping = Mapping::new(bytes)?;
            let mut regions = Vec::new();
            let mut offset = 0;
            for &(address, bytes) in pieces {
                regions.extend(mapping.region(offset, bytes as usize, address));
                offset += bytes as usize;
            }
            let ram = GuestMemoryMmap::from_regions(regions).map_err(|_| no_room())?;
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
    pub fn share(&self, mailbox: &Mailbox, address: u64, story: &mut Story) -> Result<()> {
        let bytes = guest::abi::MAILBOX_BYTES;
        let call = format!("mmap the mailbox at guest {address:#x}..{:#x}", address + bytes as u64);
        story.step(Question::Budget, call, || {
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
            .map(|region| (region.start_addr().raw_value(), region.len(), region.as_ptr() as u64))
    }

    /// The same memory for a device that reads what lies where the guest says.
    ///
    /// Whoever clones it out of here must not keep the clone longer than this: the memory is
    /// freed with `self`.
    pub fn ram(&self) -> &GuestMemoryMmap {
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

/// Address space with room for an aligned range; freed when dropped.
struct Mapping {
    start: NonNull<libc::c_void>,
    length: std::num::NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread; it is only freed through `drop`,
// which has it alone.
unsafe impl Send for Mapping {}
// SAFETY: through a shared `Mapping` one can learn where it is and advise on its pages, which the
// kernel orders itself.
unsafe impl Sync for Mapping {}

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

    /// Lets the first `bytes` of `file` be what is here from `offset` on; both lie within the
    /// aligned range, by the caller's bound.
    fn put(&self, offset: usize, bytes: usize, sharing: MapFlags, file: &File) -> Result<()> {
        let place = std::num::NonZeroUsize::new(self.aligned().as_ptr() as usize + offset);
        let length = std::num::NonZeroUsize::new(bytes).unwrap_or(std::num::NonZeroUsize::MIN);
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = sharing | MapFlags::MAP_FIXED | MapFlags::MAP_NORESERVE;
        // SAFETY: the range lies within our own mapping, which nobody holds a reference into, so
        // that replacing its pages surprises nobody.
        unsafe { mmap(place, length, protection, flags, file.as_fd(), 0) }
            .map_err(Error::system("mmap a file into the guest's memory"))?;
        Ok(())
    }

    fn aligned(&self) -> NonNull<u8> {
        let start = self.start.cast::<u8>();
        let skipped = start.as_ptr().align_offset(PAGE as usize);
        // SAFETY: the mapping is `PAGE` longer than what is used of it, and less is skipped.
        unsafe { start.add(skipped) }
    }

    /// `bytes` from `offset` on as the guest's memory from `address` on.
    fn region(&self, offset: usize, bytes: usize, address: u64) -> Option<GuestRegionMmap> {
        // SAFETY: the pieces of a `Memory` lie behind each other in a mapping made for all of them.
        let start = unsafe { self.aligned().add(offset) };
        let builder = MmapRegionBuilder::<()>::new(bytes);
        // SAFETY: `bytes` from `start` on lie within this mapping, which lives as long as the
        // region: `Memory` has both.
        let builder = unsafe { builder.with_raw_mmap_pointer(start.as_ptr()) };
        let region: MmapRegion = builder.build().ok()?;
        GuestRegionMmap::new(region, GuestAddress(address))
    }

    /// Asks for large pages from `offset` to the very end, what is never touched too: one range of
    /// the host's less. Only advice: a host without them runs the guest all the same.
    fn advise_large_from(&self, offset: usize) {
        // SAFETY: the offset lies within the aligned range of this mapping, by the caller's bound.
        let start = unsafe { self.aligned().add(offset) };
        let length = self.start.addr().get() + self.length.get() - start.addr().get();
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
