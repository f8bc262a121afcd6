//! A guest's RAM in this process: the mapping, and views of it that keep it.
//!
//! A device reads guest memory at addresses that the guest names, in threads of its own. So whoever
//! holds a view of the memory must hold the memory: each [`Region`] of a [`Ram`] owns a share of the
//! mapping behind it, and the last one frees it.

use std::{fs::File, num::NonZeroUsize, os::fd::AsFd, ptr::NonNull, sync::Arc};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use vm_memory::{
    GuestAddress, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes,
    GuestRegionCollection, GuestRegionMmap, GuestUsize, MemoryRegionAddress, MmapRegion,
    VolatileSlice, bitmap::BS, mmap::MmapRegionBuilder,
};

use crate::{
    error::{Error, Result},
    layout::PAGE,
};

/// All of a guest's RAM. A clone is the same memory.
pub type Ram = GuestRegionCollection<Region>;

/// A piece of RAM without gaps.
#[derive(Debug)]
pub struct Region {
    // It does not free what it names, and names nothing once `_mapping` is gone: it is dropped first,
    // and never given out.
    region: GuestRegionMmap,
    /// What the piece is a part of, unless the region owns its pages itself.
    _mapping: Option<Arc<Mapping>>,
}

impl Region {
    /// Where it begins in this process.
    pub(crate) fn host_address(&self) -> u64 {
        self.region.as_ptr() as u64
    }
}

impl From<GuestRegionMmap> for Region {
    /// A piece that owns its pages, or whose maker has promised (`with_raw_mmap_pointer`) that they
    /// stay.
    fn from(region: GuestRegionMmap) -> Self {
        Self { region, _mapping: None }
    }
}

impl GuestMemoryRegion for Region {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.region.len()
    }

    fn start_addr(&self) -> GuestAddress {
        self.region.start_addr()
    }

    /// Nobody asks which pages were written.
    fn bitmap(&self) -> BS<'_, Self::B> {}

    fn get_host_address(
        &self,
        address: MemoryRegionAddress,
    ) -> std::result::Result<*mut u8, GuestMemoryError> {
        self.region.get_host_address(address)
    }

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> std::result::Result<VolatileSlice<'_>, GuestMemoryError> {
        GuestMemoryRegion::get_slice(&self.region, offset, count)
    }
}

impl GuestMemoryRegionBytes for Region {}

/// Address space with room for an aligned range; freed when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<libc::c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread; it is only freed through `drop`,
// which has it alone.
unsafe impl Send for Mapping {}
// SAFETY: through a shared `Mapping` one can learn where it is and advise on its pages, which the
// kernel orders itself.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Room for `bytes` at a multiple of [`PAGE`]. What is left over is never touched.
    pub(crate) fn new(bytes: usize) -> Result<Self> {
        let call = || format!("mmap {bytes} bytes of guest memory");
        let length = bytes
            .checked_add(PAGE as usize)
            .and_then(NonZeroUsize::new)
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
    pub(crate) fn put(
        &self,
        offset: usize,
        bytes: usize,
        sharing: MapFlags,
        file: &File,
    ) -> Result<()> {
        let place = NonZeroUsize::new(self.aligned().as_ptr() as usize + offset);
        let length = NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN);
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = sharing | MapFlags::MAP_FIXED | MapFlags::MAP_NORESERVE;
        // SAFETY: the range lies within our own mapping, which nobody holds a reference into, so
        // that replacing its pages surprises nobody.
        unsafe { mmap(place, length, protection, flags, file.as_fd(), 0) }
            .map_err(Error::system("mmap a file into the guest's memory"))?;
        Ok(())
    }

    pub(crate) fn aligned(&self) -> NonNull<u8> {
        let start = self.start.cast::<u8>();
        let skipped = start.as_ptr().align_offset(PAGE as usize);
        // SAFETY: the mapping is `PAGE` longer than what is used of it, and less is skipped.
        unsafe { start.add(skipped) }
    }

    /// `bytes` from `offset` on as the guest's memory from `address` on.
    pub(crate) fn region(
        self: &Arc<Self>,
        offset: usize,
        bytes: usize,
        address: u64,
    ) -> Option<Region> {
        let room = self.length.get() - PAGE as usize;
        if offset.checked_add(bytes).is_none_or(|end| end > room) {
            return None;
        }
        // SAFETY: the offset lies within the aligned range, which has `room`.
        let start = unsafe { self.aligned().add(offset) };
        let builder = MmapRegionBuilder::<()>::new(bytes);
        // SAFETY: `bytes` from `start` on lie within this mapping, of which the region that is made
        // here keeps a share until it is gone itself.
        let builder = unsafe { builder.with_raw_mmap_pointer(start.as_ptr()) };
        let region: MmapRegion = builder.build().ok()?;
        let region = GuestRegionMmap::new(region, GuestAddress(address))?;
        Some(Region { region, _mapping: Some(self.clone()) })
    }

    /// Asks for large pages from `offset` to the very end, what is never touched too: one range of
    /// the host's less. Only advice: a host without them runs the guest all the same.
    pub(crate) fn advise_large_from(&self, offset: usize) {
        // SAFETY: the offset lies within the aligned range of this mapping, by the caller's bound.
        let start = unsafe { self.aligned().add(offset) };
        let length = self.start.addr().get() + self.length.get() - start.addr().get();
        // SAFETY: the advice changes how pages are found, not what is in them.
        let _ = unsafe { madvise(start.cast(), length, MmapAdvise::MADV_HUGEPAGE) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the machine that used it is closed before (field order in `Machine`), and every
        // region that names a part of it holds a share and is gone. It cannot fail for a range that was mapped whole.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
