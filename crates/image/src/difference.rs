//! What differs between the roots of two images, as `docker diff` says it.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use nix::sys::stat::{FileStat, SFlag};

use crate::view::{Directory, Node, View, kind, link_text, open_regular};

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is only in the second.
    Added,
    /// It is in both, and not the same.
    Changed,
    /// It is only in the first.
    Deleted,
}

impl Kind {
    /// The letter that docker has for it.
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Changed => 'C',
            Self::Deleted => 'D',
        }
    }
}

/// Calls `found` with each path that differs between the roots of these layers, in the order of their
/// names. Of a directory that is only in one of them, what is in it is not listed.
///
/// # Errors
///
/// When something of them cannot be read.
pub fn differences(
    before: &[PathBuf],
    after: &[PathBuf],
    found: &mut dyn FnMut(Kind, &[u8]),
) -> io::Result<()> {
    let (before, after) = (View::of(before)?, View::of(after)?);
    walk(before.root(), after.root(), b"", found)
}

fn walk(
    before: &Directory,
    after: &Directory,
    path: &[u8],
    found: &mut dyn FnMut(Kind, &[u8]),
) -> io::Result<()> {
    let mut old = before.entries()?;
    for (name, new) in after.entries()? {
        let whole = join(path, &name);
        match (old.remove(&name), new) {
            (None, _) => found(Kind::Added, &whole),
            (Some(Node::Directory(old, was)), Node::Directory(new, is)) => {
                if !same_attributes(&was, &is) {
                    found(Kind::Changed, &whole);
                }
                walk(&old, &new, &whole, found)?;
            }
            (Some(old), new) => {
                if !same(&old, &new)? {
                    found(Kind::Changed, &whole);
                }
            }
        }
    }
    for name in old.keys() {
        found(Kind::Deleted, &join(path, name));
    }
    Ok(())
}

fn same_attributes(one: &FileStat, other: &FileStat) -> bool {
    let of = |stat: &FileStat| (stat.st_mode, stat.st_uid, stat.st_gid);
    of(one) == of(other)
}

/// Whether two that are not both directories are the same.
fn same(one: &Node, other: &Node) -> io::Result<bool> {
    let (Node::Other(one, was), Node::Other(other, is)) = (one, other) else { return Ok(false) };
    // The same file of a layer that both have.
    if (was.st_dev, was.st_ino) == (is.st_dev, is.st_ino) {
        return Ok(true);
    }
    if !same_attributes(was, is) || was.st_size != is.st_size || was.st_rdev != is.st_rdev {
        return Ok(false);
    }
    match kind(was) {
        SFlag::S_IFREG => same_bytes(open_regular(one, was)?, open_regular(other, is)?),
        SFlag::S_IFLNK => Ok(link_text(one)? == link_text(other)?),
        _ => Ok(true),
    }
}

fn same_bytes(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let length = one.read(&mut left)?;
        if length == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        match other.read_exact(&mut right[..length]) {
            Ok(()) if left[..length] == right[..length] => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            _ => return Ok(false),
        }
    }
}

fn join(path: &[u8], name: &OsStr) -> Vec<u8> {
    [path, b"/", name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_differs_is_listed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for directory in ["one/d", "two/d", "two/new/deep"] {
            fs::create_dir_all(path(directory)).unwrap();
        }
        for (name, text) in [
            ("one/same", "x"),
            ("two/same", "x"),
            ("one/d/changed", "a"),
            ("two/d/changed", "b"),
            ("one/gone", ""),
            ("one/kind", ""),
        ] {
            fs::write(path(name), text).unwrap();
        }
        fs::create_dir(path("two/kind")).unwrap();
        let mut all = Vec::new();
        differences(&[path("one")], &[path("two")], &mut |kind, name| {
            all.push(format!("{} {}", kind.letter(), String::from_utf8_lossy(name)));
        })
        .unwrap();
        assert_eq!(all, ["C /d/changed", "C /kind", "A /new", "D /gone"]);
    }
}
