//! From a path to a descriptor, below a directory: openat2(2).

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};

/// A file here is read and written by the server's user alone.
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// How often a step is tried while others rename on this host.
const RACES: usize = 64;

/// Opens what is at `path` below a directory, without a step that leads out or through a link.
pub(super) fn open_below(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // A pipe that somebody has put there must not make the server wait for its other end.
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    // EINVAL for a mode where nothing is created: openat2(2).
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    // EAGAIN when something was renamed on this host meanwhile.
    for _ in 0..RACES {
        match openat2(directory, path, flags, mode, resolve) {
            Err(Errno::AGAIN) => {}
            opened => return Ok(opened?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// The directory of a path, and the name in it.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}

/// `None` for what is not there.
pub(super) fn or_none<T>(result: io::Result<T>) -> Option<io::Result<T>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match result {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => None,
        result => Some(result),
    }
}

/// Says what was tried with which path, for the operator's log.
pub(super) fn about(action: &str, path: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{action} {path}: {error}"))
}
