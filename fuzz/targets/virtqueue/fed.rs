//! A disk whose sectors are requests.
//!
//! A guest may have a disk read into the ring from which the disk takes its requests. On this one,
//! sector n is what lies there after the request for it: a request for sector n + 1, and a ring
//! which says that it waits. There are as many as a ring counts to, so it never ends by itself.
//!
//! ```text
//!   0x3f0  type: read  reserved  sector n + 1     the header that a descriptor names
//!   0x400  flags  index n + 2  ring: 0 0 0 ...    the available ring, where the queues have it
//! ```

use std::{fs::File, os::unix::fs::FileExt as _, sync::LazyLock};

use microvm::devices::virtio::disk::{Access, Disk};
use nix::sys::memfd::{MFdFlags, memfd_create};

const SECTOR: usize = 512;
/// Index and sector count alike.
const SECTORS: usize = 1 << 16;

/// Written once: nobody may write to it.
static IMAGE: LazyLock<File> = LazyLock::new(|| {
    let file = memfd_create(c"fed", MFdFlags::MFD_CLOEXEC).expect("a fuzzer has some memory");
    let file = File::from(file);
    let mut content = vec![0; SECTORS * SECTOR];
    for (number, sector) in content.chunks_mut(SECTOR).enumerate() {
        let number = number as u16;
        sector[8..10].copy_from_slice(&number.wrapping_add(1).to_le_bytes());
        sector[18..20].copy_from_slice(&number.wrapping_add(2).to_le_bytes());
    }
    file.write_all_at(&content, 0).expect("it is in memory");
    file
});

/// The disk, to be read.
pub fn disk() -> Disk {
    let file = IMAGE.try_clone().expect("a descriptor more");
    Disk::of(file, Access::Read).expect("a file")
}
