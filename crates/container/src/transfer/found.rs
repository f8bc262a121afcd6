//! What a name refers to, examined and read without following links.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use nix::{
    dir::Dir,
    fcntl::{OFlag, open, openat},
    sys::{
        stat::{FileStat, Mode, SFlag, fstat},
        statfs::{PROC_SUPER_MAGIC, fstatfs},
    },
};

/// The maximum nesting of directories: more is treated as an attempt to use up descriptors.
pub(super) const DEPTH: usize = 128;
/// The maximum number of names in one directory.
const NAMES: usize = 1 << 20;

/// A directory entry, opened.
pub(super) struct Found {
    /// Opened with `O_PATH`: it stays the same file.
    pub(super) descriptor: OwnedFd,
    pub(super) about: FileStat,
    pub(super) kind: Kind,
}

/// Its type.
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// Something that is not copied, and what it is called.
    Other(&'static str),
}

impl Found {
    /// Opening it this way has no side effect, even for a device.
    pub(super) fn at(directory: &OwnedFd, name: &OsStr) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let descriptor = openat(directory, name, flags, Mode::empty())?;
        let about = fstat(&descriptor)?;
        refuse_proc(&descriptor)?;
        let kind = match SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Link,
            SFlag::S_IFIFO => Kind::Other("FIFO"),
            SFlag::S_IFSOCK => Kind::Other("socket"),
            _ => Kind::Other("device"),
        };
        Ok(Self { descriptor, about, kind })
    }
}

/// Refuses `/proc`: a process's view of itself cannot be copied in or out.
pub(super) fn refuse_proc(found: &OwnedFd) -> io::Result<()> {
    match fstatfs(found)?.filesystem_type() == PROC_SUPER_MAGIC {
        true => Err(io::Error::other("it is in /proc, which is not copied")),
        false => Ok(()),
    }
}

/// Opens the very file that was examined for reading, even if its name refers to another one by
/// now.
pub(super) fn reopen(found: &OwnedFd) -> io::Result<File> {
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(open(&*again, flags, Mode::empty())?.into())
}

/// The names in a directory that was examined.
pub(super) fn names_in(found: &OwnedFd) -> io::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut listing = Dir::openat(found, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in listing.iter().take(NAMES) {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
