//! A bounce buffer: the guest writes to memory of its own, and the host copies it to the page.

use std::{
    fs::File, io, num::NonZeroUsize, os::unix::fs::FileExt, process::ExitCode, ptr::NonNull,
    thread, time::Duration,
};

use kvm_ioctls::VmFd;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use three_virtualizations::{Answer, kvm_userspace_memory_region};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn map_shared(vm: &VmFd, page: &File, address: u64) -> io::Result<()> {
    const BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe { mmap_anonymous(None, BYTES, protection, MapFlags::MAP_PRIVATE) }?;
    let region = kvm_userspace_memory_region {
        slot: 1,
        flags: 0,
        guest_phys_addr: address,
        memory_size: BYTES.get() as u64,
        userspace_addr: start.as_ptr() as u64,
    };
    // SAFETY: nobody unmaps the page before the process ends, and no Rust reference leads into it.
    unsafe { vm.set_user_memory_region(region) }?;
    let page = page.try_clone()?;
    let buffer = start.as_ptr() as usize;
    thread::spawn(move || copy_for_ever(&page, buffer));
    Ok(())
}

/// The words of the device come first, so that they reach the guest; then its bytes go back.
fn copy_for_ever(page: &File, buffer: usize) {
    const FROM_DEVICE: [usize; 2] = [0x800, 0x880];
    let buffer = NonNull::new(buffer as *mut u8).expect("mmap never gives null");
    loop {
        for at in FROM_DEVICE {
            let mut word = [0; 4];
            let _ = page.read_exact_at(&mut word, at as u64);
            // SAFETY: within the page, which is never unmapped.
            let place = unsafe { buffer.add(at) }.cast::<u32>();
            // SAFETY: aligned, and only ever written whole.
            unsafe { place.write_volatile(u32::from_le_bytes(word)) };
        }
        // SAFETY: the page is never unmapped, and copied at once.
        let bytes = unsafe { buffer.cast::<[u8; 0x880]>().read_volatile() };
        let _ = page.write_all_at(&bytes[..0x800], 0);
        let _ = page.write_all_at(&bytes[0x840..0x844], 0x840);
        thread::sleep(Duration::from_millis(1));
    }
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { map_shared, ..solution::ANSWER })
}
