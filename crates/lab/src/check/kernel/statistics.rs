//! What KVM counts of a virtual machine.

use std::{io, os::fd::BorrowedFd};

/// The statistics of a virtual machine or a virtual CPU, read from a copy of the descriptor that
/// `KVM_GET_STATS_FD` gave (Documentation/virt/kvm/api.rst 4.133). `exits` is among them.
///
/// # Errors
///
/// When the descriptor is no such file.
pub fn kvm_statistics(descriptor: BorrowedFd<'_>) -> io::Result<Vec<(String, u64)>> {
    // struct kvm_stats_header: flags, name_size, num_desc, id_offset, desc_offset, data_offset.
    let mut header = [0; 24];
    read_at(descriptor, &mut header, 0)?;
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
    };
    let (name_size, count, at, data) = (word(4), word(8), word(16), word(20));
    // struct kvm_stats_desc: flags u32, exponent i16, size u16, offset u32, bucket_size u32, name.
    let each = 16 + name_size;
    if name_size > 256 || count > 4096 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no statistics of KVM"));
    }
    let mut found = Vec::new();
    for number in 0..count {
        let mut description = vec![0; each];
        read_at(descriptor, &mut description, (at + number * each) as u64)?;
        let field = |at: usize| {
            u32::from_le_bytes([
                description[at],
                description[at + 1],
                description[at + 2],
                description[at + 3],
            ])
        };
        let name = description[16..].split(|&byte| byte == 0).next().unwrap_or_default();
        let mut value = [0; 8];
        read_at(descriptor, &mut value, (data + field(8) as usize) as u64)?;
        found.push((String::from_utf8_lossy(name).into_owned(), u64::from_le_bytes(value)));
    }
    Ok(found)
}

fn read_at(descriptor: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    match rustix::io::pread(descriptor, &mut *buffer, offset)? {
        read if read == buffer.len() => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
