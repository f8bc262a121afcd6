//! What KVM counts of a virtual CPU: a file of its own, in which the counts are described by name
//! (Linux, `Documentation/virt/kvm/api.rst`, section 4.133).

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::fs::FileExt,
    },
};

use kvm_bindings::kvm_stats_header;
use kvm_ioctls::VcpuFd;

/// A new file with the statistics of `cpu`; a copy of it can be read by other processes too.
///
/// # Errors
///
/// On a kernel before Linux 5.14, which has none.
pub fn file(cpu: &VcpuFd) -> io::Result<File> {
    const KVM_GET_STATS_FD: libc::c_ulong = 0xaece;
    // SAFETY: the request has no argument, and gives a new descriptor or an error.
    let descriptor = unsafe { libc::ioctl(cpu.as_raw_fd(), KVM_GET_STATS_FD) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// The statistic `name` in such a file, `exits` for instance; `None` if it is not there.
pub fn find(file: &File, name: &str) -> Option<u64> {
    const DESCRIPTION: usize = 16;
    /// A length beyond that is nobody's name: the file may be one of a guest's or a student's.
    const LONGEST_NAME: u32 = 256;
    let mut header = [0; size_of::<kvm_stats_header>()];
    file.read_exact_at(&mut header, 0).ok()?;
    let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
    let [name_size, count, descriptions, data] = [
        word(&header[4..8])?,
        word(&header[8..12])?,
        word(&header[16..20])?,
        word(&header[20..24])?,
    ];
    if name_size > LONGEST_NAME {
        return None;
    }
    let size = DESCRIPTION + name_size as usize;
    for index in 0..u64::from(count) {
        let mut description = vec![0; size];
        let at = u64::from(descriptions) + index * size as u64;
        file.read_exact_at(&mut description, at).ok()?;
        if description[DESCRIPTION..].split(|byte| *byte == 0).next() == Some(name.as_bytes()) {
            let mut value = [0; 8];
            let offset = word(&description[8..12])?;
            file.read_exact_at(&mut value, u64::from(data) + u64::from(offset)).ok()?;
            return Some(u64::from_le_bytes(value));
        }
    }
    None
}

/// The statistic `name` of `cpu`, if this kernel has it.
pub(crate) fn of(cpu: &VcpuFd, name: &str) -> Option<u64> {
    find(&file(cpu).ok()?, name)
}
