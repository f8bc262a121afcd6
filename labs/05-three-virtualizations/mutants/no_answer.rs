//! The device's page is mapped, and another one is given to the guest.

use std::{fs::File, io, num::NonZeroUsize, process::ExitCode};

use kvm_ioctls::VmFd;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use three_virtualizations::{Answer, kvm_userspace_memory_region};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn map_shared(vm: &VmFd, page: &File, address: u64) -> io::Result<()> {
    const BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe { mmap(None, BYTES, protection, MapFlags::MAP_SHARED, page, 0) }?;
    // SAFETY: the same.
    let other = unsafe { mmap_anonymous(None, BYTES, protection, MapFlags::MAP_PRIVATE) }?;
    let _ = start;
    let region = kvm_userspace_memory_region {
        slot: 1,
        flags: 0,
        guest_phys_addr: address,
        memory_size: BYTES.get() as u64,
        userspace_addr: other.as_ptr() as u64,
    };
    // SAFETY: nobody unmaps the page before the process ends, and no Rust reference leads into it.
    unsafe { vm.set_user_memory_region(region) }?;
    Ok(())
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { map_shared, ..solution::ANSWER })
}
