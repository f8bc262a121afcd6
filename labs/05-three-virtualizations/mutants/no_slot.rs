//! The page is mapped here, but KVM is not told: the guest finds no memory there.

use std::{fs::File, io, num::NonZeroUsize, process::ExitCode};

use kvm_ioctls::VmFd;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use three_virtualizations::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn map_shared(vm: &VmFd, page: &File, address: u64) -> io::Result<()> {
    const BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe { mmap(None, BYTES, protection, MapFlags::MAP_SHARED, page, 0) }?;
    let _ = (vm, start, address);
    Ok(())
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { map_shared, ..solution::ANSWER })
}
