//! A guest's memory between two pages that nobody may touch.

use std::num::NonZeroUsize;

use microvm::ram::Ram;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use vm_memory::{GuestAddress, GuestRegionMmap, mmap::MmapRegionBuilder};

/// Small, so that random addresses hit.
pub const MEMORY: usize = 16 << 10;
const GUARD: usize = 4096;

/// Maps it. Whoever reads or writes a byte beyond it ends the process with `SIGSEGV`. It is mapped
/// once and never freed.
pub fn memory() -> Ram {
    let length = NonZeroUsize::new(GUARD + MEMORY + GUARD).expect("it is not zero");
    // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
    let whole =
        unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }
            .expect("a fuzzer has some memory");
    // SAFETY: the mapping is two guards longer than what begins behind the first of them.
    let start = unsafe { whole.add(GUARD) };
    // SAFETY: the range lies within the mapping above, which nobody else knows of.
    unsafe { mprotect(start, MEMORY, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) }
        .expect("its own mapping");
    let builder = MmapRegionBuilder::<()>::new(MEMORY);
    // SAFETY: the range is mapped for reading and writing from here on until the process ends.
    let builder = unsafe { builder.with_raw_mmap_pointer(start.as_ptr().cast()) };
    let region = builder.build().expect("the pointer is that of a page");
    let region = GuestRegionMmap::new(region, GuestAddress(0)).expect("it ends below 2^64");
    Ram::from_regions(vec![region.into()]).expect("there is one")
}
