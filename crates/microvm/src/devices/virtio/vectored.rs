//! Reading a file into a guest's buffers, and writing them to one, without a copy in between.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use nix::errno::Errno;
use vm_memory::VolatileSlice;

use super::Buffers;

/// So many buffers in one system call (`IOV_MAX`, limits.h(0P)).
const BUFFERS: usize = 1024;

/// Reads `file` from `offset` on until `into` is full or the file ends; gives the number of bytes.
///
/// # Errors
///
/// When the host cannot read it.
pub fn read_at(file: impl AsFd, offset: u64, into: Buffers<'_>) -> io::Result<usize> {
    let file = file.as_fd().as_raw_fd();
    move_all(offset, into, |offset, pieces| {
        // SAFETY: each piece is a range of the guest's memory that `into` borrows from the mapping,
        // and the kernel writes no more into it than its length. That the guest may change it
        // meanwhile matters to nobody: nothing of ours refers to it.
        unsafe { libc::preadv(file, pieces.as_ptr(), pieces.len() as i32, offset) }
    })
}

/// Writes all of `from` to `file` from `offset` on, and gives the number of bytes.
///
/// # Errors
///
/// When the host cannot write it: it has no room, for one.
pub fn write_at(file: impl AsFd, offset: u64, from: Buffers<'_>) -> io::Result<usize> {
    let file = file.as_fd().as_raw_fd();
    move_all(offset, from, |offset, pieces| {
        // SAFETY: each piece is a range of the guest's memory that `from` borrows from the mapping,
        // and the kernel only reads it.
        unsafe { libc::pwritev(file, pieces.as_ptr(), pieces.len() as i32, offset) }
    })
}

/// Moves all of `buffers` by as many calls of `move_some` as it takes, or until one moves nothing: it
/// is given an offset and pieces, and gives the number of bytes as `readv(2)` does.
fn move_all(
    offset: u64,
    mut buffers: Buffers<'_>,
    move_some: impl Fn(i64, &[libc::iovec]) -> isize,
) -> io::Result<usize> {
    let mut done = 0;
    while !buffers.is_empty() {
        let place = offset.checked_add(done as u64).and_then(|place| i64::try_from(place).ok());
        let place = place.ok_or(Errno::EINVAL)?;
        let guards: Vec<_> =
            buffers.slices().iter().take(BUFFERS).map(VolatileSlice::ptr_guard_mut).collect();
        let pieces: Vec<libc::iovec> = guards
            .iter()
            .map(|guard| libc::iovec { iov_base: guard.as_ptr().cast(), iov_len: guard.len() })
            .collect();
        match Errno::result(move_some(place, &pieces)) {
            Ok(0) => break,
            Ok(count) => {
                buffers.take(count as usize);
                done += count as usize;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(done)
}
