//! Copies one file, or a directory with its content, from one open directory into another.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, readlinkat},
    sys::{
        stat::{FileStat, Mode, fchmod, fstat, futimens, mkdirat},
        time::TimeSpec,
    },
    unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat},
};

use super::found::{self, DEPTH, Found, Kind};

/// How files are made.
pub(super) struct Rules {
    /// Whose they are.
    pub(super) owner: Owner,
    /// Which bits of their mode are kept.
    pub(super) mode: u32,
}

/// Whose files are that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The caller's.
    Caller,
    /// This user's and this group's.
    Is(u32, u32),
    /// Those of the file that is copied.
    Kept,
}

impl Owner {
    /// The user and group to be set, for a copy of `source`.
    pub(super) fn of(self, source: Option<&FileStat>) -> Option<(Uid, Gid)> {
        let (user, group) = match (self, source) {
            (Self::Is(user, group), _) => (user, group),
            (Self::Kept, Some(source)) => (source.st_uid, source.st_gid),
            (Self::Caller, _) | (Self::Kept, None) => return None,
        };
        Some((Uid::from_raw(user), Gid::from_raw(group)))
    }
}

/// What could not be copied.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Copies `name` of the directory `source` to the directory and name `target`.
pub(super) fn copy(
    source: &OwnedFd,
    name: &Path,
    target: (&OwnedFd, &Path),
    rules: &Rules,
    left_out: &mut Vec<String>,
) -> Result<(), Failed> {
    let mut copier = Copier { rules, left_out, path: name.to_owned(), depth: 0, made: None };
    copier.one(source, name.as_os_str(), target).map_err(|source| {
        let path = std::mem::take(&mut copier.path);
        Failed { path, source }
    })
}

struct Copier<'a> {
    rules: &'a Rules,
    left_out: &'a mut Vec<String>,
    /// What is being copied, for messages.
    path: PathBuf,
    depth: usize,
    /// The first directory that was made, which may be inside the source.
    made: Option<(u64, u64)>,
}

impl Copier<'_> {
    fn one(&mut self, source: &OwnedFd, name: &OsStr, target: (&OwnedFd, &Path)) -> io::Result<()> {
        let Found { descriptor, about, kind } = Found::at(source, name)?;
        match kind {
            Kind::File => self.file(&descriptor, &about, target),
            Kind::Directory => self.directory(&descriptor, &about, target),
            Kind::Link => self.link(&descriptor, &about, target),
            Kind::Other(kind) => {
                self.left_out.push(format!("{}: a {kind}", self.path.display()));
                Ok(())
            }
        }
    }

    fn file(&self, found: &OwnedFd, about: &FileStat, target: (&OwnedFd, &Path)) -> io::Result<()> {
        let from = found::reopen(found)?;
        let mut to = new_file(target)?;
        // Only up to the initial length: a process that keeps appending cannot fill the other side.
        let length = u64::try_from(about.st_size).unwrap_or(0);
        io::copy(&mut from.take(length), &mut to)?;
        self.finish(&to, about)
    }

    fn directory(
        &mut self,
        found: &OwnedFd,
        about: &FileStat,
        target: (&OwnedFd, &Path),
    ) -> io::Result<()> {
        if self.depth >= DEPTH {
            return Err(io::Error::other(format!("more than {DEPTH} nested directories")));
        }
        let made = match mkdirat(target.0, target.1, Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let to = openat(target.0, target.1, flags, Mode::empty())?;
        let names = found::names_in(found)?;
        // A copy into itself: what was just made is not copied again.
        let itself = fstat(&to)?;
        let itself = *self.made.get_or_insert((itself.st_dev, itself.st_ino));
        self.depth += 1;
        for name in names {
            self.path.push(&name);
            if !is_same(found, &name, itself) {
                self.one(found, &name, (&to, Path::new(&name)))?;
            }
            self.path.pop();
        }
        self.depth -= 1;
        if made { self.finish(&to, about) } else { Ok(()) }
    }

    fn link(&self, found: &OwnedFd, about: &FileStat, target: (&OwnedFd, &Path)) -> io::Result<()> {
        new_link(&readlinkat(found, "")?, target, self.rules.owner.of(Some(about)))
    }

    fn finish(&self, made: impl AsFd, about: &FileStat) -> io::Result<()> {
        let modified = TimeSpec::new(about.st_mtime, about.st_mtime_nsec);
        let mode = about.st_mode & self.rules.mode;
        finish(made, mode, modified, self.rules.owner.of(Some(about)))
    }
}

/// Gives the directory `made` the owner, mode and time of `source`.
pub(super) fn become_like(made: &OwnedFd, source: &OwnedFd) -> Result<(), Failed> {
    let finish = || {
        let about = fstat(source)?;
        let modified = TimeSpec::new(about.st_mtime, about.st_mtime_nsec);
        finish(made, about.st_mode & 0o7777, modified, Owner::Kept.of(Some(&about)))
    };
    finish().map_err(|source| Failed { path: ".".into(), source })
}

/// Makes a new file of that name, so that no existing link is followed.
pub(super) fn new_file(target: (&OwnedFd, &Path)) -> io::Result<File> {
    make_room(target)?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(target.0, target.1, flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
}

/// Makes a symbolic link of that name.
pub(super) fn new_link(
    leads_to: &OsStr,
    target: (&OwnedFd, &Path),
    owner: Option<(Uid, Gid)>,
) -> io::Result<()> {
    make_room(target)?;
    symlinkat(leads_to, target.0, target.1)?;
    if let Some((user, group)) = owner {
        fchownat(target.0, target.1, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Sets owner, mode and time. The owner first: changing it clears set-user-ID bits (chown(2)).
pub(super) fn finish(
    made: impl AsFd,
    mode: u32,
    modified: TimeSpec,
    owner: Option<(Uid, Gid)>,
) -> io::Result<()> {
    if let Some((user, group)) = owner {
        fchown(&made, Some(user), Some(group))?;
    }
    fchmod(&made, Mode::from_bits_truncate(mode))?;
    Ok(futimens(&made, &modified, &modified)?)
}

/// Removes the entry of that name, unless it is a directory.
pub(super) fn make_room((directory, name): (&OwnedFd, &Path)) -> io::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn is_same(directory: &OwnedFd, name: &OsStr, (device, inode): (u64, u64)) -> bool {
    let found = nix::sys::stat::fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| (found.st_dev, found.st_ino) == (device, inode))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use nix::unistd::mkfifo;

    use super::{super::here, *};

    fn copied(from: &Path, name: &str, to: &Path) -> (Result<(), Failed>, Vec<String>) {
        let rules = Rules { owner: Owner::Caller, mode: 0o777 };
        let mut left_out = Vec::new();
        let (source, target, name) = (here(from), here(to), Path::new(name));
        let done = copy(&source, name, (&target, name), &rules, &mut left_out);
        (done, left_out)
    }

    #[test]
    fn files_links_and_directories_come_as_they_are_and_nothing_else_does() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tree = from.path().join("tree");
        fs::create_dir_all(tree.join("below")).unwrap();
        fs::write(tree.join("below/file"), "content").unwrap();
        fs::set_permissions(tree.join("below/file"), fs::Permissions::from_mode(0o6755)).unwrap();
        symlink("/etc/passwd", tree.join("link")).unwrap();
        mkfifo(&tree.join("fifo"), Mode::S_IRUSR).unwrap();
        let (done, left_out) = copied(from.path(), "tree", to.path());
        done.unwrap();
        assert_eq!(left_out, ["tree/fifo: a FIFO"]);
        let made = to.path().join("tree");
        assert_eq!(fs::read_to_string(made.join("below/file")).unwrap(), "content");
        let mode = fs::metadata(made.join("below/file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "no set-user bits");
        assert_eq!(fs::read_link(made.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert!(!made.join("fifo").exists());
    }

    #[test]
    fn nothing_is_written_through_a_link_that_stands_at_the_target() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let canary = to.path().join("canary");
        fs::create_dir(&canary).unwrap();
        fs::write(canary.join("file"), "kept").unwrap();
        fs::create_dir_all(from.path().join("tree")).unwrap();
        fs::write(from.path().join("tree/file"), "new").unwrap();
        fs::write(from.path().join("file"), "new").unwrap();
        // A file replaces the link itself; a directory does not go through it.
        symlink(canary.join("file"), to.path().join("file")).unwrap();
        symlink(&canary, to.path().join("tree")).unwrap();
        copied(from.path(), "file", to.path()).0.unwrap();
        assert_eq!(fs::read_to_string(to.path().join("file")).unwrap(), "new");
        let failed = copied(from.path(), "tree", to.path()).0.unwrap_err();
        assert!(failed.path.starts_with("tree"), "{failed:?}");
        assert_eq!(fs::read_to_string(canary.join("file")).unwrap(), "kept");
    }

    #[test]
    fn a_directory_that_is_copied_into_itself_ends() {
        let from = tempfile::tempdir().unwrap();
        fs::create_dir_all(from.path().join("tree/below")).unwrap();
        let (source, target) = (here(from.path()), here(&from.path().join("tree/below")));
        let rules = Rules { owner: Owner::Caller, mode: 0o777 };
        let name = Path::new("tree");
        copy(&source, name, (&target, name), &rules, &mut Vec::new()).unwrap();
        assert!(from.path().join("tree/below/tree/below").exists());
        assert!(!from.path().join("tree/below/tree/below/tree").exists());
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let deep: PathBuf = std::iter::repeat_n("d", DEPTH + 1).collect();
        fs::create_dir_all(from.path().join(deep)).unwrap();
        let failed = copied(from.path(), "d", to.path()).0.unwrap_err();
        assert!(failed.source.to_string().contains("nested"), "{failed:?}");
    }
}
