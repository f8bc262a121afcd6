//! A directory of isolab's own, by a path that another process may have changed meanwhile.
//!
//! What is checked must be what is used: the parent directory is opened first, without following
//! links, then the name in it, and everything else is done by these two descriptors.

use std::{
    ffi::OsStr,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::Path,
};

use nix::{
    NixPath,
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::fstat,
    unistd::Uid,
};

use crate::{Error, error};

/// A directory of the calling user's own.
pub(super) struct OwnDirectory<'a> {
    /// The parent directory.
    pub(super) parent: OwnedFd,
    /// Its name in the parent.
    pub(super) name: &'a OsStr,
    /// The whole path, for messages.
    pub(super) path: &'a Path,
    /// The directory itself.
    pub(super) directory: OwnedFd,
}

impl<'a> OwnDirectory<'a> {
    /// Opens the directory `path`, if it exists. It must belong to the calling user and not be
    /// reached through a link, or isolab did not make it.
    pub(super) fn open(path: &'a Path) -> Result<Option<Self>, Error> {
        let failed = |errno: Errno| error::file("open", path)(explained(errno));
        let name = path.file_name().ok_or(Errno::EINVAL).map_err(failed)?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let how = how(OFlag::O_PATH, ResolveFlag::RESOLVE_NO_SYMLINKS);
        let parent = match openat2(AT_FDCWD, parent, how) {
            Err(Errno::ENOENT) => return Ok(None),
            parent => parent.map_err(failed)?,
        };
        let directory = match enter(&parent, name) {
            Err(Errno::ENOENT) => return Ok(None),
            directory => directory.map_err(failed)?,
        };
        let owner = fstat(&directory).map_err(failed)?.st_uid;
        if owner != Uid::effective().as_raw() {
            let why = format!(
                "it belongs to user {owner}, so isolab did not make it: inspect it and remove it yourself"
            );
            return Err(error::file("remove", path)(io::Error::other(why)));
        }
        Ok(Some(Self { parent, name, path, directory }))
    }
}

pub(super) fn how(flags: OFlag, resolve: ResolveFlag) -> OpenHow {
    let directory = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    OpenHow::new().flags(flags | directory).resolve(resolve)
}

/// Opens the directory `name` in `parent` for listing, never through a symbolic link or into a
/// mount.
pub(super) fn enter<P: NixPath + ?Sized>(parent: impl AsFd, name: &P) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    match openat2(&parent, name, how(OFlag::O_RDONLY, resolve)) {
        // Its owner may open it after a chmod. fchmod(2) does not take an O_PATH descriptor, but
        // its entry in /proc leads to that very directory.
        Err(Errno::EACCES) => {
            let closed = openat2(&parent, name, how(OFlag::O_PATH, resolve))?;
            let own = format!("/proc/self/fd/{}", closed.as_raw_fd());
            fs::set_permissions(own, fs::Permissions::from_mode(0o700))
                .map_err(|_| Errno::EACCES)?;
            openat2(&closed, c".", how(OFlag::O_RDONLY, resolve))
        }
        opened => opened,
    }
}

/// Explains an error, and says what to do about it.
pub(super) fn explained(errno: Errno) -> io::Error {
    let why = match errno {
        Errno::EXDEV | Errno::EBUSY => "something is mounted on it: unmount that, then try again",
        Errno::ELOOP => {
            "the path leads through a symbolic link, which isolab does not follow: inspect it and remove it yourself"
        }
        Errno::ENOTDIR => {
            "it is not a directory, so isolab did not make it: inspect it and remove it yourself"
        }
        errno => return errno.into(),
    };
    io::Error::new(io::Error::from(errno).kind(), why)
}
