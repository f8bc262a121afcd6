//! The directory of the host that is shared, and the only way to what is in it.
//!
//! It is opened once, by its path as the user gave it. From then on a file in it is reached by
//! openat2(2) from that descriptor, with the kernel's word that no step leads up out of it
//! (`RESOLVE_BENEATH`) and that no link is followed, whoever swaps what for what meanwhile.
//!
//! That is what the server is held to. What its thread is held to, should a guest own it, is the
//! descriptor itself: a copy of the mount, attached nowhere (open_tree(2)), read-only, without
//! devices and programs, whose root is the directory. There is nothing above it, and nobody who has
//! this descriptor can write through it. Who may not have such a copy, because he is not root and the
//! host gives him no user namespace, has a plain descriptor and the server's word.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use nix::errno::Errno as SystemError;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2},
    io::Errno,
    mount::{OpenTreeFlags, open_tree},
};

use super::nodes::Identity;
use crate::error::Error;

/// A directory of the host's that a guest sees.
#[derive(Debug)]
pub struct SharedTree {
    root: OwnedFd,
    identity: Identity,
    device: u64,
    is_private: bool,
}

impl SharedTree {
    /// Opens the directory at `source`, and with it what is mounted below, if `with_mounts` says so.
    ///
    /// # Errors
    ///
    /// When it is not there, or not a directory.
    pub fn open(source: &Path, with_mounts: bool) -> Result<Self, Error> {
        let failed = |source_error: io::Error| Error::Share {
            directory: source.to_owned(),
            source: source_error,
        };
        let private = private_mount(source, with_mounts).map_err(failed)?;
        let is_private = private.is_some();
        let root = match private {
            Some(root) => root,
            None => openat(CWD, source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| failed(errno.into()))?,
        };
        let stat = fstat(&root).map_err(|errno| failed(errno.into()))?;
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { root, identity: Identity::from(&stat), device: stat.st_dev, is_private })
    }

    /// Which file the directory itself is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether it is a mount of its own, which nothing leads out of and nobody can write to.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// Opens what is at `path`, whose last part may be a link that is not followed. With
    /// [`OFlags::PATH`] it is only found: a pipe or a device is left as it is.
    ///
    /// # Errors
    ///
    /// As openat2(2) has them; ELOOP where a part of the path is a link.
    pub fn open_at(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        step(self.root.as_fd(), path, flags)
    }

    /// Finds `name` in `directory`, which was opened by [`SharedTree::open_at`].
    ///
    /// # Errors
    ///
    /// As [`SharedTree::open_at`].
    pub fn find_in(&self, directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        step(directory, name, OFlags::PATH)
    }

    /// The root, to ask the kernel about its file system.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A number for that file, which no other in here has: what is mounted below has inodes of its
    /// own, in which those of the directory may occur again.
    pub fn inode(&self, stat: &Stat) -> u64 {
        match stat.st_dev == self.device {
            true => stat.st_ino,
            false => stat.st_ino ^ stat.st_dev.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }
}

/// How often a step is tried while others rename and mount.
const RACES: usize = 64;

fn step(from: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = match flags.contains(OFlags::PATH) {
        true => flags,
        // A file of the kernel's may wait for what it has to say; nobody here does.
        false => flags | OFlags::NONBLOCK | OFlags::NOCTTY,
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A rename or a mount anywhere on the host, while a `..` is followed, makes it fail with EAGAIN
    // (openat2(2)): the kernel cannot tell whether the step stayed below.
    for _ in 0..RACES {
        match openat2(from, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

/// A copy of the mount at `source` with its own root there, read-only; nothing if this process may
/// not have one, or its kernel has none: before Linux 5.12.
fn private_mount(source: &Path, with_mounts: bool) -> io::Result<Option<OwnedFd>> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if with_mounts {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let copy = match open_tree(CWD, source, flags) {
        Ok(copy) => copy,
        // Without the right to mount; in a mount namespace that is not the path's own.
        Err(Errno::PERM | Errno::NOSYS | Errno::INVAL) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    match close_mount(&copy) {
        Ok(()) => Ok(Some(copy)),
        Err(SystemError::EPERM | SystemError::ENOSYS | SystemError::EINVAL) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a copy of mounts read-only, and lets no mount that is made on the host later appear in it.
fn close_mount(copy: &OwnedFd) -> nix::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the kernel reads the empty path and as many bytes of `attributes` as it is told there
    // are; `copy` is open for as long as the call takes.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            copy.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    SystemError::result(set).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A directory `inside` beside a file `secret`.
    fn scratch() -> tempfile::TempDir {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("inside/below")).unwrap();
        fs::write(scratch.path().join("secret"), "secret").unwrap();
        fs::write(scratch.path().join("inside/file"), "file").unwrap();
        scratch
    }

    #[test]
    fn only_a_directory_is_shared() {
        let scratch = scratch();
        let error_of = |path: &str| {
            let error = SharedTree::open(&scratch.path().join(path), true).unwrap_err();
            format!("{error}: {}", std::error::Error::source(&error).unwrap())
        };
        assert!(error_of("secret").contains("not a directory"), "{}", error_of("secret"));
        assert!(error_of("nothing").contains("No such file"), "{}", error_of("nothing"));
    }

    #[test]
    fn no_step_leads_up_and_no_link_is_followed() {
        let scratch = scratch();
        let inside = scratch.path().join("inside");
        for (name, to) in [("up", "../secret"), ("far", "/etc/passwd"), ("own", "below")] {
            symlink(to, inside.join(name)).unwrap();
        }
        let tree = SharedTree::open(&inside, true).unwrap();
        let open = |path: &str| tree.open_at(path.as_bytes(), OFlags::RDONLY).map(drop);
        assert_eq!(open("file"), Ok(()));
        for path in ["..", "../secret", "below/../../secret", "/etc/passwd", "below/../.."] {
            assert_eq!(open(path), Err(Errno::XDEV), "{path}");
        }
        for path in ["up", "far", "own", "own/.", "far/x"] {
            assert_eq!(open(path), Err(Errno::LOOP), "{path}");
        }
    }

    /// The descriptor alone, without what the server sees to.
    #[test]
    fn nothing_is_above_the_mount_and_nothing_can_be_written_to_it() {
        let scratch = scratch();
        let inside = scratch.path().join("inside");
        let tree = SharedTree::open(&inside, true).unwrap();
        if !tree.is_private() {
            eprintln!("skipped: this user may not have a mount of its own");
            return;
        }
        let up = openat(tree.root(), "../../..", OFlags::PATH, Mode::empty()).unwrap();
        assert_eq!(Identity::from(&fstat(&up).unwrap()), tree.identity());
        let write = |path: &str, flags| {
            openat(tree.root(), path, flags, Mode::from_raw_mode(0o600)).unwrap_err()
        };
        assert_eq!(write("file", OFlags::WRONLY), Errno::ROFS);
        assert_eq!(write("new", OFlags::WRONLY | OFlags::CREATE), Errno::ROFS);
        assert_eq!(fs::read(inside.join("file")).unwrap(), b"file");
        fs::write(inside.join("file"), "the host still writes").unwrap();
    }
}
