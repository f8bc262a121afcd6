//! The errors for a rejected archive.

use std::io;

pub(super) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

pub(super) fn refused_sparse() -> io::Error {
    io::Error::other("a sparse file, which is not unpacked: write the archive without --sparse")
}
