//! Whose a snapshot is: nobody but its user may have a say in what is restored.
//!
//! A snapshot's memory is mapped for as long as its guest runs, and its state names files of the
//! host that become the guest's disks. Whoever can write either can change a running guest, end its
//! launcher by cutting the memory off, or have any file of the caller's opened. So the folder and
//! every file in it belong to the caller or to root, and nobody else may write them: that is asked
//! of the descriptors that are then read, not of their names.
//!
//! An archive that the caller has unpacked is his too, and what is in it another's. So the state
//! says which file the memory was written to ([`Birth`]). Where it lies in another, the snapshot was
//! copied or brought from elsewhere, and does not decide which files are opened.

use std::{
    fs::{File, Metadata},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use nix::unistd::geteuid;
use rustix::fs::{Mode, OFlags, open, openat};
use serde::{Deserialize, Serialize};

use super::SnapshotError;

/// In a mode: who is neither the owner nor root may write. With an access control list the bits of
/// the group are the most that the list gives to anybody (acl(5)).
const OTHERS_MAY_WRITE: u32 = 0o022;

/// A folder that only its user can have changed.
#[derive(Debug)]
pub struct OwnFolder {
    folder: File,
    path: PathBuf,
}

impl OwnFolder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    ///
    /// When there is none, or others may change what is in it.
    pub fn open(path: &Path) -> Result<Self, SnapshotError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map(File::from);
        let folder = folder.map_err(|errno| match errno.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                SnapshotError::None { folder: path.to_owned() }
            }
            _ => SnapshotError::Read { file: path.to_owned(), source: errno.into() },
        })?;
        own(&folder, path)?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// Opens the regular file `name` in it; gives it with its length.
    ///
    /// # Errors
    ///
    /// When there is none, or others may change it.
    pub fn file(&self, name: &str) -> Result<(File, u64), SnapshotError> {
        let path = self.path.join(name);
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SnapshotError::Missing { file: path.clone() },
            _ => SnapshotError::Read { file: path.clone(), source },
        };
        // A link would lead out of the folder, and a pipe would wait for somebody at its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty()).map(File::from);
        let file = file.map_err(|errno| unreadable(errno.into()))?;
        let about = own(&file, &path).map_err(|error| match error {
            SnapshotError::Read { source, .. } => unreadable(source),
            error => error,
        })?;
        if !about.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        Ok((file, about.len()))
    }

    /// Its name, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A way to the very folder that is open, whatever its name leads to by now (proc(5)).
    pub fn by_descriptor(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.folder.as_raw_fd()).into()
    }
}

/// What `file` is, if nobody but the caller and root may change it.
fn own(file: &File, path: &Path) -> Result<Metadata, SnapshotError> {
    let about =
        file.metadata().map_err(|source| SnapshotError::Read { file: path.to_owned(), source })?;
    let owner = about.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(SnapshotError::Foreign { path: path.to_owned(), owner });
    }
    match about.mode() & OTHERS_MAY_WRITE {
        0 => Ok(about),
        _ => Err(SnapshotError::OthersMayWrite {
            path: path.to_owned(),
            mode: about.mode() & 0o7777,
        }),
    }
}

/// Which file it is, in a way that nobody can foresee who writes an archive to be unpacked elsewhere:
/// its number, and the nanosecond at which it was made, which no copy brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Birth {
    inode: u64,
    nanoseconds: u64,
}

impl Birth {
    /// Of `file`; nothing where the file system does not keep when a file was made (statx(2)).
    pub fn of(file: &File) -> Option<Self> {
        let about = file.metadata().ok()?;
        let since = about.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { inode: about.ino(), nanoseconds: since.as_nanos().try_into().ok()? })
    }
}
