//! What a container has changed in its root, as `docker diff` says it: read from the upper directory of
//! its overlay alone, which is small, and not by comparing whole roots.
//!
//! ```text
//!   upper               lowers              change
//!   etc                 directory           C   if its attributes differ, or an entry came or went
//!   etc/new             -                   A
//!   etc/passwd          file                C
//!   etc/motd, 0:0       file                D
//! ```

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use nix::sys::stat::FileStat;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, open, openat2, statat},
    io::Errno,
};

use crate::{
    difference::Kind,
    layer::is_opaque,
    view::{Directory, Node, View},
};

/// A client that asks gets no more: the list is in memory.
const MAX_CHANGES: usize = 1_000_000;

/// The paths in `upper` that differ from the root of `lowers`, the uppermost first, with how, sorted. A
/// path has no slash before it. What `skip` names, and what is below it, is left out.
///
/// # Errors
///
/// When something cannot be read, or there are more than a million changes.
pub fn upper_changes(
    upper: &Path,
    lowers: &[PathBuf],
    skip: &[String],
) -> io::Result<BTreeMap<Vec<u8>, Kind>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(upper, flags, Mode::empty())?;
    let mut walk = Walk { root, lowers: View::of(lowers)?, skip, changes: BTreeMap::new() };
    // With one directory open at a time: how deep they are is the container's choice.
    let mut left = vec![Level { path: Vec::new(), is_lower: true }];
    while let Some(level) = left.pop() {
        left.extend(walk.directory(&level)?);
        if walk.changes.len() > MAX_CHANGES {
            return Err(io::Error::other(format!("more than {MAX_CHANGES} changes")));
        }
    }
    Ok(walk.changes)
}

/// A directory of the upper layer.
struct Level {
    path: Vec<u8>,
    /// Whether there is a directory of that path in the layers below, with no link on the way.
    is_lower: bool,
}

struct Walk<'a> {
    root: OwnedFd,
    lowers: View,
    skip: &'a [String],
    changes: BTreeMap<Vec<u8>, Kind>,
}

impl Walk<'_> {
    /// Looks at what is in a directory; those that are in it are next.
    fn directory(&mut self, level: &Level) -> io::Result<Vec<Level>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let path: &[u8] = if level.path.is_empty() { b"." } else { &level.path };
        let upper = match openat2(&self.root, path, flags, Mode::empty(), resolve) {
            // Its processes may have removed or replaced it meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !level.path.is_empty() => {
                return Ok(Vec::new());
            }
            opened => opened?,
        };
        let lower = self.lower(level)?;
        let names = names(&upper)?;
        let mut below = Vec::new();
        for name in &names {
            let path = join(&level.path, name);
            if self.skip.iter().any(|skipped| skipped.as_bytes() == path) {
                continue;
            }
            let stat = match statat(&upper, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            let old = lower.look_up(name)?;
            below.extend(self.entry(path, &stat, old.as_ref()));
        }
        if is_opaque(upper.as_fd()) {
            for name in lower.entries()?.into_keys().filter(|name| !names.contains(name)) {
                self.add(join(&level.path, &name), Kind::Deleted);
            }
        }
        Ok(below)
    }

    fn lower(&self, level: &Level) -> io::Result<Directory> {
        if !level.is_lower {
            return Ok(Directory::empty());
        }
        match self.lowers.locate(OsStr::from_bytes(&level.path))?.node {
            Some(Node::Directory(directory, _)) => Ok(directory),
            _ => Ok(Directory::empty()),
        }
    }

    fn entry(&mut self, path: Vec<u8>, stat: &Stat, old: Option<&Node>) -> Option<Level> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            if old.is_some() {
                self.add(path, Kind::Deleted);
            }
            return None;
        }
        let is_directory = kind == FileType::Directory;
        match old {
            None => self.add(path.clone(), Kind::Added),
            // It is here perhaps only because of what is in it.
            Some(Node::Directory(_, old)) if is_directory && is_same(stat, old) => {}
            Some(_) => {
                self.changes.entry(path.clone()).or_insert(Kind::Changed);
            }
        }
        let is_lower = matches!(old, Some(Node::Directory(..)));
        is_directory.then_some(Level { path, is_lower })
    }

    /// Adds a change, and that it changes the directories above.
    fn add(&mut self, path: Vec<u8>, kind: Kind) {
        let mut above = &*path;
        while let Some(slash) = above.iter().rposition(|byte| *byte == b'/') {
            above = &above[..slash];
            self.changes.entry(above.to_vec()).or_insert(Kind::Changed);
        }
        self.changes.insert(path, kind);
    }
}

fn is_same(stat: &Stat, old: &FileStat) -> bool {
    let new = (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime);
    new == (old.st_mode, old.st_uid, old.st_gid, old.st_mtime)
        && i128::from(stat.st_mtime_nsec) == i128::from(old.st_mtime_nsec)
}

fn names(directory: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => names.push(OsString::from_vec(name.to_vec())),
        }
    }
    names.sort();
    Ok(names)
}

fn join(directory: &[u8], name: &OsStr) -> Vec<u8> {
    match directory.is_empty() {
        true => name.as_bytes().to_vec(),
        false => [directory, b"/", name.as_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use nix::sys::stat::{SFlag, mknod};

    use super::*;

    fn changes(upper: &Path, lower: &Path, skip: &[&str]) -> Vec<String> {
        let skip: Vec<String> = skip.iter().map(|path| (*path).to_owned()).collect();
        let found = upper_changes(upper, &[lower.to_owned()], &skip).unwrap();
        let line = |(path, kind): (Vec<u8>, Kind)| {
            format!("{} {}", kind.letter(), String::from_utf8(path).unwrap())
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn changes_are_those_of_docker_diff() {
        let folder = tempfile::tempdir().unwrap();
        let (upper, lower) = (folder.path().join("upper"), folder.path().join("lower"));
        for path in ["etc", "var/log", "same"] {
            fs::create_dir_all(lower.join(path)).unwrap();
            fs::create_dir_all(upper.join(path)).unwrap();
        }
        for path in ["etc/passwd", "etc/motd", "var/log/old"] {
            fs::write(lower.join(path), "old").unwrap();
        }
        let time = std::time::SystemTime::UNIX_EPOCH;
        fs::write(upper.join("etc/passwd"), "new").unwrap();
        mknod(&upper.join("etc/motd"), SFlag::S_IFCHR, nix::sys::stat::Mode::empty(), 0).unwrap();
        mknod(&upper.join("etc/none"), SFlag::S_IFCHR, nix::sys::stat::Mode::empty(), 0).unwrap();
        fs::create_dir_all(upper.join("new/deep")).unwrap();
        fs::write(upper.join("same/file"), "").unwrap();
        fs::create_dir(upper.join("skipped")).unwrap();
        fs::write(upper.join("skipped/file"), "").unwrap();
        for path in [&upper, &lower].iter().flat_map(|top| ["same", "var"].map(|it| top.join(it))) {
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        }
        fs::set_permissions(upper.join("var/log"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(
            changes(&upper, &lower, &["skipped"]),
            [
                "C etc",
                "D etc/motd",
                "C etc/passwd",
                "A new",
                "A new/deep",
                "C same",
                "A same/file",
                "C var/log",
            ]
        );
    }

    #[test]
    fn a_link_in_place_of_a_directory_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (upper, lower) = (folder.path().join("upper"), folder.path().join("lower"));
        fs::create_dir_all(upper.join("etc/sub")).unwrap();
        fs::create_dir_all(lower.join("other/sub")).unwrap();
        symlink("other", lower.join("etc")).unwrap();
        symlink("/etc", upper.join("link")).unwrap();
        // Below what replaces a link, everything is new.
        assert_eq!(changes(&upper, &lower, &[]), ["C etc", "A etc/sub", "A link"]);
    }
}
