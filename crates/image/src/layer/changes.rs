//! The content of an overlay's upper directory as a layer: what was added, changed and deleted.
//!
//! The names of a directory come sorted by their bytes, so the same tree gives the same archive,
//! whatever file system it is on. No link is followed: a directory is opened below the root, and
//! what it has is opened by one name in it.
//!
//! Source: overlayfs.rst, "whiteouts and opaque directories".

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io::{self, Write},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, fstat, openat2,
    readlinkat, statat,
};

use super::{
    Attributes, LayerWriter, Node, WHITEOUT,
    error::shown,
    tree::{is_whiteout, itself},
    xattrs::{OVERLAY, xattrs},
};

/// How changes are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChangesOptions<'a> {
    /// The latest time that a file has, in seconds since 1970: `SOURCE_DATE_EPOCH`.
    pub clamp: Option<i64>,
    /// Paths in the directory that are no changes, such as mount points. What is below them is not
    /// written either.
    pub skip: &'a [String],
}

/// Changes that cannot become a layer.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// Something of the directory cannot be read.
    #[error("archive {name:?}: {action}")]
    Read {
        /// Its name, cut off if it is long.
        name: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A layer cannot say this.
    #[error("archive {name:?}: {why}")]
    Unsupported {
        /// Its name, cut off if it is long.
        name: String,
        /// What a layer cannot say.
        why: &'static str,
    },
    /// The archive cannot be written.
    #[error("write the archive of the layer")]
    Write(#[source] io::Error),
}

type Result<T> = std::result::Result<T, ChangesError>;

/// Writes what is in `upper`, the upper directory of an overlay that is not mounted any more, as an
/// archive. Sockets are left out: they are of a process that is gone. Files of the ordinary user who
/// calls this are root's in the archive, as he was root in the container.
///
/// # Errors
///
/// When something cannot be read or written, and when a layer cannot say it: a directory that was
/// renamed by reference (`redirect_dir`), a file that has only its new attributes (`metacopy`), and
/// a name that would be read as a whiteout.
pub fn changes<W: Write>(upper: BorrowedFd<'_>, out: W, options: &ChangesOptions<'_>) -> Result<W> {
    let mut changes = Changes {
        root: upper,
        writer: LayerWriter::new(out),
        clamp: options.clamp,
        own: (!rustix::process::geteuid().is_root())
            .then(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())),
        names: HashMap::new(),
    };
    let root = changes.open(b"")?;
    changes.opaque(&root, b"")?;
    // Without recursion, and with one directory open at a time: how deep they are is not ours.
    let mut levels = vec![Level { names: names(&root, b"")?, path: Vec::new() }];
    let mut current = (Vec::new(), root);
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop();
            continue;
        };
        if current.0 != level.path {
            current = (level.path.clone(), changes.open(&level.path)?);
        }
        let path = join(&level.path, &name);
        if options.skip.iter().any(|skipped| skipped.as_bytes() == path) {
            continue;
        }
        if let Some(below) = changes.entry(current.1.as_fd(), &name, &path)? {
            levels.push(Level { names: names(&below, &path)?, path: path.clone() });
            current = (path, below);
        }
    }
    changes.writer.finish().map_err(ChangesError::Write)
}

/// A directory of which some names are still to come, the next one last.
struct Level {
    names: Vec<Vec<u8>>,
    path: Vec<u8>,
}

struct Changes<'r, W> {
    root: BorrowedFd<'r>,
    writer: LayerWriter<W>,
    clamp: Option<i64>,
    /// The ids of an ordinary user.
    own: Option<(u32, u32)>,
    /// The first names of files that have several, by device and inode.
    names: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Changes<'_, W> {
    /// Writes what `parent` has under `name`. Returns a directory, whose entries are next.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
    ) -> Result<Option<OwnedFd>> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(failed(path, "look at it"))?;
        if is_whiteout(&stat) {
            self.writer.whiteout(path).map_err(ChangesError::Write)?;
            return Ok(None);
        }
        if name.starts_with(WHITEOUT) {
            let why = "a layer takes this name for a whiteout; choose another name";
            return Err(ChangesError::Unsupported { name: shown(path), why });
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return self.directory(parent, name, path).map(Some);
        }
        if kind == FileType::Socket || self.is_second_name(&stat, path)? {
            return Ok(None);
        }
        let attributes = self.attributes(&stat);
        let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let written = match kind {
            FileType::RegularFile => return self.file(parent, name, path).map(|()| None),
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new());
                let target = target.map_err(failed(path, "read the link"))?;
                self.writer.symbolic_link(path, &attributes, target.as_bytes())
            }
            FileType::Fifo => self.writer.node(path, &attributes, Node::Fifo),
            FileType::BlockDevice => {
                self.writer.node(path, &attributes, Node::Block(device.0, device.1))
            }
            _ => self.writer.node(path, &attributes, Node::Character(device.0, device.1)),
        };
        written.map(|()| None).map_err(ChangesError::Write)
    }

    fn directory(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<OwnedFd> {
        let opened = itself(parent, name, OFlags::DIRECTORY | OFlags::RDONLY);
        let opened = opened.map_err(failed(path, "open the directory"))?;
        let stat = fstat(&opened).map_err(failed(path, "look at it"))?;
        let mut attributes = self.attributes(&stat);
        attributes.xattrs = kept_xattrs(&opened, path)?;
        self.writer.directory(path, &attributes).map_err(ChangesError::Write)?;
        self.opaque(&opened, path)?;
        Ok(opened)
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<()> {
        // Not to wait for the other end, if it became a pipe meanwhile.
        let opened = itself(parent, name, OFlags::RDONLY | OFlags::NONBLOCK);
        let opened = opened.map_err(failed(path, "open it"))?;
        let stat = fstat(&opened).map_err(failed(path, "look at it"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let why = "it was replaced while it was read";
            return Err(ChangesError::Unsupported { name: shown(path), why });
        }
        let mut attributes = self.attributes(&stat);
        attributes.xattrs = kept_xattrs(&opened, path)?;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        self.writer
            .file(path, &attributes, length, File::from(opened))
            .map_err(failed(path, "copy it into the archive"))
    }

    /// Writes a hard link if an entry of this file was written before.
    fn is_second_name(&mut self, stat: &Stat, path: &[u8]) -> Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let attributes = self.attributes(stat);
        match self.names.entry((stat.st_dev, stat.st_ino)) {
            Entry::Vacant(first) => {
                first.insert(path.to_vec());
                Ok(false)
            }
            Entry::Occupied(first) => {
                let link = self.writer.hard_link(path, &attributes, first.get());
                link.map(|()| true).map_err(ChangesError::Write)
            }
        }
    }

    fn opaque(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<()> {
        for prefix in OVERLAY {
            let mut value = [0; 2];
            if fgetxattr(directory, format!("{prefix}opaque"), &mut value[..]) == Ok(1)
                && value[0] == b'y'
            {
                return self.writer.opaque(path).map_err(ChangesError::Write);
            }
        }
        Ok(())
    }

    fn attributes(&self, stat: &Stat) -> Attributes {
        let time = (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0));
        let (own_uid, own_gid) = self.own.unzip();
        let root_if = |id, own| if own == Some(id) { 0 } else { id };
        Attributes {
            uid: root_if(stat.st_uid, own_uid),
            gid: root_if(stat.st_gid, own_gid),
            mode: stat.st_mode & 0o7777,
            mtime: self.clamp.map_or(time, |latest| time.min((latest, 0))),
            xattrs: Vec::new(),
        }
    }

    fn open(&self, path: &[u8]) -> Result<OwnedFd> {
        let relative: &[u8] = if path.is_empty() { b"." } else { path };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(self.root, relative, flags, Mode::empty(), resolve)
            .map_err(failed(path, "open the directory"))
    }
}

/// The names in a directory, sorted by their bytes, the first one last.
fn names(directory: &OwnedFd, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let read = || -> rustix::io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(name.to_vec()),
            }
        }
        Ok(names)
    };
    let mut names = read().map_err(failed(path, "read the directory"))?;
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}

fn kept_xattrs(file: &OwnedFd, path: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let found = xattrs(file).map_err(failed(path, "read its extended attributes"))?;
    let why = |mark| match mark {
        "redirect" => "it was renamed by reference; mount the overlay with redirect_dir=off",
        "metacopy" => "only its attributes are here; mount the overlay with metacopy=off",
        _ => "it has whiteouts of a nested overlay, which a layer cannot have",
    };
    found.map_err(|mark| ChangesError::Unsupported { name: shown(path), why: why(mark) })
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory.is_empty() {
        true => name.to_vec(),
        false => [directory, b"/", name].concat(),
    }
}

fn failed<E: Into<io::Error>>(
    name: &[u8],
    action: &'static str,
) -> impl FnOnce(E) -> ChangesError + use<E> {
    let name = shown(name);
    move |source| ChangesError::Read { name, action, source: source.into() }
}
