//! Copies files between the host and the root of a running container.
//!
//! Processes inside can change every name there at any moment, to have a file of the host read or
//! written for them. So a path inside is looked up by `openat2(2)` within the root, from a
//! descriptor of it, without magic links of procfs; from there on each step takes one name in an
//! open directory, and follows no link. Only files, directories and symbolic links are copied, and
//! they belong to the caller: no devices, no set-user-ID bits.

mod found;
mod invalid;
mod names;
mod pack;
mod stat;
mod tree;
mod unpack;

use std::{
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    sys::stat::Mode,
};
use sandbox::{LedgerEntry, Process};

use crate::{
    Error,
    error::{self, Result},
};
pub use stat::{PathStat, stat};
use tree::{Owner, Rules};

/// One end of a copy.
#[derive(Debug, Clone)]
pub enum CopyPath {
    /// A path of the host, trusted because the caller gave it.
    Host(PathBuf),
    /// A path in a container.
    Inside(Box<LedgerEntry>, PathBuf),
    /// A path in a root that this descriptor is of: [`detached_root`](crate::detached_root).
    Detached(Arc<OwnedFd>, PathBuf),
}

/// An open end of a copy.
enum Side<'a> {
    Host(&'a Path),
    Inside { root: OwnedFd, first: Process, path: &'a Path },
    Detached { root: &'a OwnedFd, path: &'a Path },
}

/// Copies `from` to `to`, like `docker cp`: into an existing directory, or to the new name. Returns
/// what was skipped, one line each.
///
/// # Errors
///
/// When one of them does not exist or cannot be read or written, and when the container has ended.
pub fn copy(from: &CopyPath, to: &CopyPath) -> Result<Vec<String>> {
    let (from, to) = (Side::open(from)?, Side::open(to)?);
    let contents = from.path().as_os_str().as_encoded_bytes().ends_with(b"/.");
    let (source, name) = from.parent_and_name(contents)?;
    let (target, new_name) = match to.directory(to.path()) {
        // Into the directory; for `DIRECTORY/.`, its content.
        Ok(directory) => (directory, name.clone()),
        Err(_) if ends_in_slash(to.path()) => return Err(to.failed(Errno::ENOTDIR).into()),
        Err(_) => to.parent_and_name(false)?,
    };
    let rules = to.rules()?;
    let mut left_out = Vec::new();
    tree::copy(&source, &name, (&target, &new_name), &rules, &mut left_out).map_err(|failed| {
        Error::File { action: "copy", path: failed.path, source: failed.source }
    })?;
    Ok(left_out)
}

/// Copies the content of the directory `from` into the directory `to`, which is empty, with owners and
/// modes, also those of `from` itself: how a volume begins. Returns what was skipped, one line each.
///
/// # Errors
///
/// When one of them is no directory or cannot be read or written.
pub fn fill(from: &CopyPath, to: &OwnedFd) -> Result<Vec<String>> {
    let from = Side::open(from)?;
    let source = from.directory(from.path()).map_err(|errno| from.failed(errno))?;
    let rules = Rules { owner: Owner::Kept, mode: 0o7777 };
    let (mut left_out, itself) = (Vec::new(), Path::new("."));
    let copied = tree::copy(&source, itself, (to, itself), &rules, &mut left_out);
    copied.and_then(|()| tree::become_like(to, &source)).map_err(|failed| Error::File {
        action: "copy",
        path: failed.path,
        source: failed.source,
    })?;
    Ok(left_out)
}

/// Writes `from` to `output` as a tar archive: a file, a directory with its content, or for
/// `DIRECTORY/.` only the content. Returns what was skipped, one line each.
///
/// # Errors
///
/// When it does not exist or cannot be read, when `output` cannot be written, and when the
/// container has ended.
pub fn pack(from: &CopyPath, output: impl io::Write) -> Result<Vec<String>> {
    let from = Side::open(from)?;
    let contents = from.path().as_os_str().as_encoded_bytes().ends_with(b"/.");
    let (source, name) = from.parent_and_name(contents)?;
    let mut left_out = Vec::new();
    pack::pack(&source, &name, output, &mut left_out).map_err(|failed| Error::File {
        action: "pack",
        path: failed.path,
        source: failed.source,
    })?;
    Ok(left_out)
}

/// Unpacks the tar archive `input` into the existing directory `to`. Returns what was skipped, one
/// line each.
///
/// # Errors
///
/// When the archive is invalid or leads out of the directory, when the directory cannot be written,
/// and when the container has ended.
pub fn unpack(input: impl io::Read, to: &CopyPath) -> Result<Vec<String>> {
    let to = Side::open(to)?;
    let target = to.directory(to.path()).map_err(|errno| to.failed(errno))?;
    let rules = to.rules()?;
    let mut left_out = Vec::new();
    unpack::unpack(input, &target, &rules, &mut left_out).map_err(|failed| Error::File {
        action: "unpack",
        path: failed.path,
        source: failed.source,
    })?;
    Ok(left_out)
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

impl<'a> Side<'a> {
    fn open(end: &'a CopyPath) -> Result<Self, Error> {
        let (entry, path) = match end {
            CopyPath::Host(path) => return Ok(Self::Host(path)),
            CopyPath::Detached(root, path) => return Ok(Self::Detached { root, path }),
            CopyPath::Inside(entry, path) => (entry, path),
        };
        let gone = || Error::NotRunning { name: entry.name.clone() };
        let first = entry.first.ok_or_else(gone)?;
        let place = format!("/proc/{}/root", first.pid);
        let root =
            open(&*place, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let root = root.map_err(error::call(format!("open {place}")))?;
        // Checked afterwards: the number may belong to another process by now.
        if !first.is_alive() {
            return Err(gone());
        }
        Ok(Self::Inside { root, first, path })
    }

    fn path(&self) -> &'a Path {
        match self {
            Self::Host(path) | Self::Inside { path, .. } | Self::Detached { path, .. } => path,
        }
    }

    /// Opens a directory on this side, to look up names in it.
    fn directory(&self, path: &Path) -> std::result::Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        // An empty path means the current directory.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let root = match self {
            Self::Host(_) => return open(path, flags, Mode::empty()),
            Self::Inside { root, .. } => root,
            Self::Detached { root, .. } => *root,
        };
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        /// A rename anywhere on the host can make a lookup fail with EAGAIN (openat2(2)).
        const RACES: usize = 64;
        for _ in 0..RACES {
            match openat2(root, path, how) {
                Err(Errno::EAGAIN) => {}
                opened => return opened,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// The parent directory of the path and its last name; `.` in the directory itself if there is
    /// no name, or the content is requested.
    fn parent_and_name(&self, contents: bool) -> Result<(OwnedFd, PathBuf), Error> {
        let path = self.path();
        let named =
            !contents && matches!(path.components().next_back(), Some(Component::Normal(_)));
        let (directory, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if named => (parent, PathBuf::from(name)),
            _ => (path, ".".into()),
        };
        let opened = self.directory(directory).map_err(|errno| self.failed(errno))?;
        Ok((opened, name))
    }

    fn failed(&self, errno: Errno) -> Error {
        error::file("open the directory of", self.path())(io::Error::from(errno))
    }

    /// How files are made on this side.
    fn rules(&self) -> Result<Rules, Error> {
        match self {
            Self::Host(_) => Ok(Rules { owner: Owner::Caller, mode: 0o777 }),
            Self::Detached { .. } => Ok(Rules { owner: Owner::Is(0, 0), mode: 0o7777 }),
            Self::Inside { first, .. } => {
                let owner =
                    Owner::Is(root_inside(first, "uid_map")?, root_inside(first, "gid_map")?);
                Ok(Rules { owner, mode: 0o7777 })
            }
        }
    }
}

/// The id on the host of the container's root (user_namespaces(7)).
fn root_inside(first: &Process, map: &str) -> Result<u32, Error> {
    let path = format!("/proc/{}/{map}", first.pid);
    let text = std::fs::read_to_string(&path).map_err(error::file("read", &path))?;
    let mut lines = text.lines().map(str::split_whitespace);
    let of_root = lines.find_map(|mut line| match (line.next()?, line.next()?) {
        ("0", outside) => outside.parse().ok(),
        _ => None,
    });
    Ok(of_root.unwrap_or(0))
}

/// Of the host's, for the tests of [`tree`].
#[cfg(test)]
fn here(path: &Path) -> OwnedFd {
    Side::Host(path).directory(path).unwrap()
}
