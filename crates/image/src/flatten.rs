//! All layers of an image as one archive: what a container of it sees, without mounting anything.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use nix::sys::stat::{FileStat, SFlag, major, minor};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::{
    layer::{self, Attributes, LayerWriter, xattrs},
    view::{Directory, Node, View, kind, link_text, open_regular},
};

/// Writes what `layers`, the uppermost first, show together, as a tar archive.
///
/// # Errors
///
/// When something in them cannot be read, or the archive cannot be written. The error's text names
/// the file.
pub fn flatten<W: Write>(layers: &[PathBuf], out: W) -> io::Result<W> {
    let view = View::of(layers)?;
    let mut flatten = Flatten { writer: LayerWriter::new(out), seen: HashMap::new() };
    // Without recursion: how deep directories are is the choice of whoever made them.
    let mut levels = vec![Level { path: Vec::new(), names: names(view.root())?, opened: None }];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop();
            continue;
        };
        let whole = join(&level.path, &name);
        let found = match (&level.opened, level.path.is_empty()) {
            (Some(opened), _) => opened.look_up(&name),
            (None, true) => view.root().look_up(&name),
            (None, false) => level.open(&view)?.look_up(&name),
        };
        let found = found.map_err(|errno| named(&whole, &errno.into()))?;
        // Removed since.
        let Some(node) = found else { continue };
        flatten.entry(&whole, &node).map_err(|error| named(&whole, &error))?;
        if let Node::Directory(below, _) = node {
            let names = names(&below).map_err(|error| named(&whole, &error))?;
            if levels.len() >= MOST_OPEN {
                levels.last_mut().expect("a level was looked at").opened = None;
            }
            levels.push(Level { path: whole, names, opened: Some(below) });
        }
    }
    flatten.writer.finish()
}

/// How many directories above the present one are kept open; deeper ones are looked up again.
const MOST_OPEN: usize = 64;

/// A directory of which some names are still to come, the next one last.
struct Level {
    path: Vec<u8>,
    names: Vec<OsString>,
    opened: Option<Directory>,
}

impl Level {
    fn open(&mut self, view: &View) -> io::Result<&Directory> {
        // Each part of the path was seen to be a directory, and links are followed within the root.
        let located = view.locate(OsStr::from_bytes(&self.path));
        let located = located.map_err(|error| named(&self.path, &error))?;
        let directory = match located.node {
            Some(Node::Directory(directory, _)) => directory,
            _ => Directory::empty(),
        };
        Ok(self.opened.insert(directory))
    }
}

/// The names in a directory, the first one last.
fn names(directory: &Directory) -> io::Result<Vec<OsString>> {
    Ok(directory.names()?.into_iter().rev().collect())
}

struct Flatten<W> {
    writer: LayerWriter<W>,
    /// Files with several names, by device and inode.
    seen: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Flatten<W> {
    fn entry(&mut self, name: &[u8], node: &Node) -> io::Result<()> {
        let (found, stat) = match node {
            Node::Directory(directory, stat) => {
                let attributes = attributes(stat, directory.uppermost())?;
                return self.writer.directory(name, &attributes);
            }
            Node::Other(found, stat) => (found, stat),
        };
        if stat.st_nlink > 1
            && let Some(first) = self.seen.get(&(stat.st_dev, stat.st_ino))
        {
            let first = first.clone();
            return self.writer.hard_link(name, &attributes(stat, None)?, &first);
        }
        let device = |number: u64| {
            let fits = |number| u32::try_from(number).unwrap_or(u32::MAX);
            (fits(major(number)), fits(minor(number)))
        };
        match kind(stat) {
            SFlag::S_IFREG => {
                let file = open_regular(found, stat)?;
                let attributes = attributes(stat, Some(found))?;
                let length = u64::try_from(stat.st_size).unwrap_or(0);
                self.writer.file(name, &attributes, length, file)?;
            }
            SFlag::S_IFLNK => {
                let target = link_text(found)?;
                self.writer.symbolic_link(name, &attributes(stat, None)?, target.as_bytes())?;
            }
            SFlag::S_IFIFO => {
                self.writer.node(name, &attributes(stat, None)?, layer::Node::Fifo)?;
            }
            SFlag::S_IFCHR => {
                let (major, minor) = device(stat.st_rdev);
                let node = layer::Node::Character(major, minor);
                self.writer.node(name, &attributes(stat, None)?, node)?;
            }
            SFlag::S_IFBLK => {
                let (major, minor) = device(stat.st_rdev);
                let node = layer::Node::Block(major, minor);
                self.writer.node(name, &attributes(stat, None)?, node)?;
            }
            // A socket is of a process.
            _ => return Ok(()),
        }
        if stat.st_nlink > 1 {
            self.seen.insert((stat.st_dev, stat.st_ino), name.to_vec());
        }
        Ok(())
    }
}

/// What an entry has of owner, mode and times; of one that can be opened, the extended attributes.
fn attributes(stat: &FileStat, opened: Option<&OwnedFd>) -> io::Result<Attributes> {
    let xattrs = match opened {
        Some(found) => {
            let path = format!("/proc/self/fd/{}", found.as_raw_fd());
            let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            xattrs(&file)?.map_err(|mark| {
                io::Error::other(format!("overlayfs's mark {mark:?} says that it is elsewhere"))
            })?
        }
        None => Vec::new(),
    };
    Ok(Attributes {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
        mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        xattrs,
    })
}

fn join(path: &[u8], name: &OsStr) -> Vec<u8> {
    match path {
        b"" => name.as_bytes().to_vec(),
        path => [path, b"/", name.as_bytes()].concat(),
    }
}

fn named(name: &[u8], error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("/{}: {error}", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd as _};

    use super::*;
    use crate::layer::{ApplyOptions, apply};

    #[test]
    fn the_archive_has_what_the_layers_show_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for directory in ["lower/d", "upper/d", "flat"] {
            fs::create_dir_all(path(directory)).unwrap();
        }
        for (name, text) in [("lower/d/a", "below"), ("lower/d/b", "below"), ("upper/d/a", "above")]
        {
            fs::write(path(name), text).unwrap();
        }
        fs::hard_link(path("lower/d/b"), path("lower/d/c")).unwrap();
        std::os::unix::fs::symlink("../d/a", path("upper/link")).unwrap();
        let archive = flatten(&[path("upper"), path("lower")], Vec::new()).unwrap();
        let again = flatten(&[path("upper"), path("lower")], Vec::new()).unwrap();
        assert_eq!(archive, again);
        let flat = fs::File::open(path("flat")).unwrap();
        apply(&mut &*archive, flat.as_fd(), &ApplyOptions::default()).unwrap();
        assert_eq!(fs::read_to_string(path("flat/d/a")).unwrap(), "above");
        assert_eq!(fs::read_to_string(path("flat/d/c")).unwrap(), "below");
        assert_eq!(fs::read_link(path("flat/link")).unwrap(), PathBuf::from("../d/a"));
        let links = std::os::unix::fs::MetadataExt::nlink;
        assert_eq!(links(&fs::metadata(path("flat/d/b")).unwrap()), 2);
    }

    /// Makes `depth` directories in each other, with a file in the last.
    fn nested(folder: &std::path::Path, depth: usize) {
        let mut at = fs::File::open(folder).unwrap();
        for _ in 0..depth {
            rustix::fs::mkdirat(&at, "a", Mode::RWXU).unwrap();
            let flags = OFlags::DIRECTORY | OFlags::RDONLY;
            at = openat(&at, "a", flags, Mode::empty()).unwrap().into();
        }
        let flags = OFlags::CREATE | OFlags::WRONLY;
        openat(&at, "file", flags, Mode::RUSR).unwrap();
    }

    #[test]
    fn depth_takes_no_stack_and_few_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep");
        fs::create_dir(&path).unwrap();
        nested(&path, 3000);
        let layers = [path];
        let work = move || {
            let archive = flatten(&layers, Vec::new()).unwrap();
            let mut reader = layer::Reader::new(&*archive);
            let mut last = Vec::new();
            while let Some(entry) = reader.next().unwrap() {
                last = entry.name;
            }
            last
        };
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap();
        assert_eq!(thread.join().unwrap(), [&b"a/".repeat(3000)[..], b"file"].concat());
        let folder_of = fs::File::open(folder.path()).unwrap();
        layer::remove::remove(folder_of.as_fd(), b"deep").unwrap();
    }
}
