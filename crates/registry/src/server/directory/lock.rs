//! One server at a time has a directory: flock(2).

use std::{fs::File, io, os::fd::OwnedFd};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// Locks the directory for this process. The kernel unlocks it when the process ends: flock(2).
pub(super) fn lock(directory: &File) -> io::Result<()> {
    match flock(directory, FlockOperation::NonBlockingLockExclusive) {
        // NFS locks only what is open for writing, which a directory never is, and some file systems
        // lock nothing.
        Err(Errno::BADF | Errno::NOLCK | Errno::NOTSUP | Errno::INVAL) => Ok(()),
        locked => Ok(locked?),
    }
}

/// Unlocks it. Closing the descriptor is not enough: a child that was forked, and has not called
/// execve(2) yet, has it too.
pub(super) fn unlock(directory: &OwnedFd) {
    let _ = flock(directory, FlockOperation::Unlock);
}
