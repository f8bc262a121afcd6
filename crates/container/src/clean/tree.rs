//! Removes a directory tree, even while another process changes it.
//!
//! Every call that takes a path resolves it anew, so if a directory is replaced by a symbolic link
//! between two calls, the second one leads out of the tree. Here each directory is opened once, as
//! a name in its parent, never through a link or into a mount (openat2(2)), and its entries are
//! removed by that descriptor (unlinkat(2)).
//!
//! Only one directory is open at a time, and the remaining work is a list on the heap: a tree may
//! be deeper than the stack, the limit of open files or PATH_MAX would allow.

use std::{
    ffi::{CStr, CString, OsStr},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{AtFlags, OFlag, ResolveFlag, openat2},
    sys::stat::{Mode, fchmod, fstat, fstatat},
    unistd::{UnlinkatFlags, unlinkat},
};

use super::own::{OwnDirectory, enter, explained, how};
use crate::{Error, error};

/// How often entries may appear or change their type before we give up: another process is still
/// changing the tree.
const MOST_SURPRISES: u32 = 1000;

/// A directory between the root of the tree and the open one.
struct Level {
    /// Its name in the one above.
    name: CString,
    /// Its device and inode, to recognize it on the way up.
    identity: (u64, u64),
    /// Its subdirectories that are still to be removed.
    below: Vec<CString>,
}

/// Removes a directory with its content, never through a symbolic link or a mount. It is not an
/// error if it does not exist.
///
/// # Errors
///
/// When it is not a directory of the caller, or something in it cannot be removed; what was removed
/// before stays removed.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    OwnDirectory::open(path)?.map_or(Ok(()), remove)
}

/// Removes a directory with its content.
pub(super) fn remove(tree: OwnDirectory<'_>) -> Result<(), Error> {
    let OwnDirectory { parent, name, path, directory } = tree;
    let mut walk = Walk { path, levels: Vec::new(), surprises: 0 };
    let mut here = walk.arrive(CString::default(), directory)?;
    loop {
        let depth = walk.levels.len();
        if let Some(below) = walk.levels[depth - 1].below.pop() {
            here = walk.down(here, below)?;
            continue;
        }
        if depth > 1 {
            here = walk.up(&here)?;
            continue;
        }
        match unlinkat(&parent, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                walk.surprise(c"")?;
                let again = openat2(&here, c".", how(OFlag::O_RDONLY, ResolveFlag::empty()));
                let again = again.map_err(|errno| walk.failed("open", c"", errno))?;
                walk.levels.clear();
                here = walk.arrive(CString::default(), again)?;
            }
            Err(errno) => return Err(walk.failed("remove", c"", errno)),
        }
    }
}

struct Walk<'a> {
    /// The path of the root, for messages.
    path: &'a Path,
    levels: Vec<Level>,
    surprises: u32,
}

impl Walk<'_> {
    /// Removes all entries of a newly opened directory except subdirectories, which are noted.
    fn arrive(&mut self, name: CString, directory: OwnedFd) -> Result<OwnedFd, Error> {
        let found = fstat(&directory).map_err(|errno| self.failed("look at", &name, errno))?;
        // Without these permissions its entries cannot be removed, except by root. The work
        // directory of overlayfs has none at all.
        if found.st_mode & 0o700 != 0o700 {
            fchmod(&directory, Mode::S_IRWXU)
                .map_err(|errno| self.failed("chmod", &name, errno))?;
        }
        let listed = list(&directory).map_err(|errno| self.failed("list", &name, errno))?;
        let (below, rest): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(is, _)| *is);
        let below = below.into_iter().map(|(_, name)| name).collect();
        self.levels.push(Level { name, identity: (found.st_dev, found.st_ino), below });
        for (_, name) in rest {
            self.remove_file(&directory, name)?;
        }
        Ok(directory)
    }

    /// Removes `name` in `here`, or notes it if it is a directory.
    fn remove_file(&mut self, here: impl AsFd, name: CString) -> Result<(), Error> {
        match unlinkat(here, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR) => {
                // It was not a directory a moment ago.
                self.surprise(&name)?;
                self.levels.last_mut().expect("we are in a directory").below.push(name);
                Ok(())
            }
            Err(errno) => Err(self.failed("remove", &name, errno)),
        }
    }

    /// Enters the subdirectory `name`.
    fn down(&mut self, here: OwnedFd, name: CString) -> Result<OwnedFd, Error> {
        match enter(&here, name.as_c_str()) {
            Ok(directory) => self.arrive(name, directory),
            Err(Errno::ENOENT) => Ok(here),
            // It was a directory a moment ago.
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                self.surprise(&name)?;
                self.remove_file(&here, name)?;
                Ok(here)
            }
            Err(errno) => Err(self.failed("enter", &name, errno)),
        }
    }

    /// Leaves an emptied directory for its parent, and removes it there.
    fn up(&mut self, here: impl AsFd) -> Result<OwnedFd, Error> {
        let level = self.levels.pop().expect("the caller has seen two");
        let above = self.levels.last_mut().expect("the caller has seen two").identity;
        let how = how(OFlag::O_RDONLY, ResolveFlag::RESOLVE_NO_XDEV);
        let directory =
            openat2(here, c"..", how).map_err(|errno| self.failed("leave", &level.name, errno))?;
        let found =
            fstat(&directory).map_err(|errno| self.failed("look above", &level.name, errno))?;
        if (found.st_dev, found.st_ino) != above {
            let why = io::Error::other(
                "it was moved meanwhile: end the process that does that, then try again",
            );
            return Err(error::file("leave", self.located(&level.name))(why));
        }
        match unlinkat(&directory, level.name.as_c_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            // It is no longer empty, or its name belongs to something else now.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {
                self.surprise(&level.name)?;
                self.levels.last_mut().expect("the one above").below.push(level.name);
            }
            Err(errno) => return Err(self.failed("remove", &level.name, errno)),
        }
        Ok(directory)
    }

    fn surprise(&mut self, name: &CStr) -> Result<(), Error> {
        self.surprises += 1;
        if self.surprises <= MOST_SURPRISES {
            return Ok(());
        }
        let why = "it keeps changing: end the process that changes it, then try again";
        Err(error::file("remove", self.located(name))(io::Error::other(why)))
    }

    fn failed(&self, action: &'static str, name: &CStr, errno: Errno) -> Error {
        error::file(action, self.located(name))(explained(errno))
    }

    /// The path of `name` for a message; a very long path is abbreviated in the middle.
    fn located(&self, name: &CStr) -> PathBuf {
        const SHOWN: usize = 16;
        let part = |name: &CStr| OsStr::from_bytes(name.to_bytes()).to_owned();
        let names = self.levels.iter().skip(1).map(|level| part(&level.name));
        let skipped = self.levels.len().saturating_sub(1 + SHOWN);
        let gap = (skipped > 0).then(|| "...".into());
        let names = gap.into_iter().chain(names.skip(skipped)).chain([part(name)]);
        self.path.join(names.filter(|name| !name.is_empty()).collect::<PathBuf>())
    }
}

/// The entries of a directory, and whether each is a directory itself.
fn list(directory: &OwnedFd) -> Result<Vec<(bool, CString)>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::from_fd(directory.try_clone().map_err(|_| Errno::EMFILE)?)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_directory = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // Some file systems do not report the type.
            None => match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(found) => found.st_mode & libc::S_IFMT == libc::S_IFDIR,
                Err(Errno::ENOENT) => continue,
                Err(errno) => return Err(errno),
            },
        };
        entries.push((is_directory, name.to_owned()));
    }
    Ok(entries)
}
