//! The files that a program has made, read from outside.
//!
//! The program may turn a directory into a link at any moment, and the check is perhaps root: it goes
//! from descriptor to descriptor, stays in the program's root (openat2(2)), and follows no link.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, open, openat, openat2, readlinkat, statat,
};

use super::Process;

/// No lab makes more, nor any file that is longer.
const MOST_ENTRIES: usize = 10_000;
const LONGEST: u64 = 1 << 20;

/// What is under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory with these permissions.
    Directory(u32),
    /// A file.
    File {
        /// What is in it.
        content: Vec<u8>,
        /// Its permissions.
        mode: u32,
        /// Which file it is: two names with one number are one file.
        inode: u64,
    },
    /// A symbolic link, and where it leads.
    Symlink(PathBuf),
    /// Something else: a device, a pipe, a socket.
    Other,
}

/// All that is below the directory `path` of `process`, by paths relative to it.
///
/// # Errors
///
/// When it is not a directory, or something in it cannot be read, or is far too much.
pub fn tree(process: Process, path: &Path) -> io::Result<BTreeMap<PathBuf, Node>> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    let root = open(process.path("root"), flags, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let top = openat2(root, path, flags, Mode::empty(), resolve)?;
    let mut found = BTreeMap::new();
    let mut waiting = vec![(PathBuf::new(), top)];
    while let Some((below, directory)) = waiting.pop() {
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
            if name == Path::new(".") || name == Path::new("..") {
                continue;
            }
            if found.len() >= MOST_ENTRIES {
                return Err(io::Error::other(format!("more than {MOST_ENTRIES} files")));
            }
            let path = below.join(name);
            let (node, inner) = node(&directory, name)?;
            waiting.extend(inner.map(|inner| (path.clone(), inner)));
            found.insert(path, node);
        }
    }
    Ok(found)
}

/// What is under `name`, and the directory itself if it is one.
fn node(directory: &OwnedFd, name: &Path) -> io::Result<(Node, Option<OwnedFd>)> {
    let about = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = about.st_mode & 0o7777;
    Ok(match FileType::from_raw_mode(about.st_mode) {
        FileType::Directory => {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            (Node::Directory(mode), Some(openat(directory, name, flags, Mode::empty())?))
        }
        FileType::RegularFile => {
            // What has become a pipe since must not be waited for.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(directory, name, flags, Mode::empty())?;
            let mut content = Vec::new();
            File::from(file.as_fd().try_clone_to_owned()?)
                .take(LONGEST)
                .read_to_end(&mut content)?;
            (Node::File { content, mode, inode: about.st_ino }, None)
        }
        FileType::Symlink => {
            let target = readlinkat(directory, name, Vec::new())?;
            (Node::Symlink(std::ffi::OsStr::from_bytes(target.to_bytes()).into()), None)
        }
        _ => (Node::Other, None),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        fs::create_dir(folder.join("sub")).unwrap();
        fs::write(folder.join("sub/file"), "text").unwrap();
        symlink("/etc", folder.join("etc")).unwrap();
        let own = Process { pid: std::process::id() };
        let found = tree(own, &folder).unwrap();
        let names: Vec<_> = found.keys().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["etc", "sub", "sub/file"]);
        assert_eq!(found[Path::new("etc")], Node::Symlink("/etc".into()));
        assert!(tree(own, &folder.join("etc")).is_err());
    }
}
