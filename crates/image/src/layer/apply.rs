//! Applies the archive of a layer to its directory.
//!
//! The archive is hostile. Its names are looked up within the directory ([`super::tree`]); files are
//! always new, so nothing is written through a link; what it may have of entries and bytes is
//! limited; and owner, mode and times are given to what was opened, not to what has the name.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, linkat, makedev, mknodat, openat,
        statat, symlinkat, utimensat,
    },
    io::Errno,
};
use tar::EntryType;

use super::{
    OPAQUE, WHITEOUT,
    archive::TarEntry,
    attributes::Attributes,
    blocks::Reader,
    error::{LayerError, failed, shown},
    lower::find,
    tree::{Name, Tree, is_whiteout, itself},
};

/// How a layer is applied.
#[derive(Debug, Clone)]
pub struct ApplyOptions<'a> {
    /// The directories of the layers below, the uppermost first: a hard link may be to a file of
    /// theirs.
    pub lowers: &'a [File],
    /// How many entries it may have.
    pub max_entries: u64,
    /// How many bytes its files may have together.
    pub max_bytes: u64,
}

impl Default for ApplyOptions<'_> {
    fn default() -> Self {
        Self { lowers: &[], max_entries: 10_000_000, max_bytes: 1 << 40 }
    }
}

/// What was applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Device nodes that an ordinary user cannot make.
    pub left_out: u64,
}

/// Applies `archive`, which is not compressed, below `root`: an empty directory that nobody else
/// writes to. Reads up to the archive's end, and not what may follow it.
///
/// # Errors
///
/// When the archive is invalid, leads out of the layer, or is larger than it may be; and when an
/// entry cannot be made. What was made by then stays.
pub fn apply(
    archive: &mut impl Read,
    root: BorrowedFd<'_>,
    options: &ApplyOptions<'_>,
) -> Result<Applied, LayerError> {
    let is_root = rustix::process::geteuid().is_root();
    let mut layer = Layer {
        tree: Tree::new(root, is_root),
        is_root,
        options,
        applied: Applied::default(),
        directories: Vec::new(),
        kept: 0,
        buffer: vec![0; 256 << 10],
    };
    let mut archive = Reader::new(archive);
    while let Some(entry) = archive.next()? {
        layer.entry(&mut archive, entry)?;
    }
    layer.finish()
}

/// What may be kept in memory of directories. A million of them, as in no image, take half of it.
const MAX_KEPT: usize = 256 << 20;

struct Layer<'a> {
    tree: Tree<'a>,
    is_root: bool,
    options: &'a ApplyOptions<'a>,
    applied: Applied,
    /// Directories are given their modes and times last: an entry in one would change its time, or
    /// not be allowed.
    directories: Vec<(Box<[u8]>, Attributes)>,
    /// How much memory that takes.
    kept: usize,
    buffer: Vec<u8>,
}

impl Layer<'_> {
    fn entry<R: Read>(
        &mut self,
        archive: &mut Reader<R>,
        entry: TarEntry,
    ) -> Result<(), LayerError> {
        self.applied.entries += 1;
        if self.applied.entries > self.options.max_entries {
            return Err(LayerError::TooMuch { what: "entries", limit: self.options.max_entries });
        }
        let name = Name::split(&entry.name)?;
        if let Some(hidden) = name.last.strip_prefix(WHITEOUT) {
            return self.hide(&name, hidden);
        }
        match entry.kind {
            EntryType::Directory => self.directory(&name, entry.attributes),
            _ if name.last.is_empty() => {
                let why = "the root of a layer is a directory";
                Err(LayerError::Name { name: "/".into(), why })
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.file(&name, archive, &entry)
            }
            EntryType::Link => self.hard_link(&name, &entry),
            EntryType::Symlink => self.symbolic_link(&name, &entry),
            EntryType::Fifo => self.node(&name, FileType::Fifo, (0, 0), &entry.attributes),
            EntryType::Char => self.device(&name, FileType::CharacterDevice, &entry),
            EntryType::Block => self.device(&name, FileType::BlockDevice, &entry),
            other => {
                let text = format!("type {:?} of an entry", char::from(other.as_byte()));
                let source = io::Error::new(io::ErrorKind::Unsupported, text);
                Err(failed(&name.whole(), "create it")(source))
            }
        }
    }

    fn hide(&mut self, name: &Name, hidden: &[u8]) -> Result<(), LayerError> {
        if name.last == OPAQUE {
            let whole = name.directory.clone();
            let directory = self.tree.parent(name)?.try_clone_to_owned();
            let directory = directory.map_err(failed(&whole, "open the directory"))?;
            return self.tree.make_opaque(directory.as_fd(), &whole);
        }
        if hidden.starts_with(WHITEOUT) {
            return Ok(()); // aufs's own
        }
        if matches!(hidden, b"" | b"." | b"..") {
            let why = "a whiteout of no name";
            return Err(LayerError::Name { name: shown(&name.whole()), why });
        }
        let hidden = Name { directory: name.directory.clone(), last: hidden.to_vec() };
        self.tree.white_out(&hidden)
    }

    fn directory(&mut self, name: &Name, attributes: Attributes) -> Result<(), LayerError> {
        self.tree.make_directory(name)?;
        let path: Box<[u8]> = name.whole().into();
        self.kept += size_of_val(&attributes) + path.len() + attributes.xattrs_length();
        if self.kept > MAX_KEPT {
            return Err(LayerError::TooMuch {
                what: "bytes about directories",
                limit: MAX_KEPT as u64,
            });
        }
        self.directories.push((path, attributes));
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        name: &Name,
        archive: &mut Reader<R>,
        entry: &TarEntry,
    ) -> Result<(), LayerError> {
        let mut file = self.new_file(name)?;
        match &entry.map {
            None => self.fill(name, archive, &mut file, u64::MAX)?,
            Some(map) => {
                // Holes count: whoever copies the file fills them.
                let content = map.pieces.iter().map(|(_, length)| length).sum::<u64>();
                self.count(map.size - content)?;
                for (offset, length) in &map.pieces {
                    let there = file.seek(SeekFrom::Start(*offset));
                    there.map_err(failed(&name.whole(), "write it"))?;
                    self.fill(name, archive, &mut file, *length)?;
                }
                file.set_len(map.size).map_err(failed(&name.whole(), "set its length"))?;
            }
        }
        entry.attributes.give_to(file.as_fd(), &name.last, self.is_root)
    }

    /// Writes what comes of the content to where `file` is, at most `most` bytes.
    fn fill<R: Read>(
        &mut self,
        name: &Name,
        archive: &mut Reader<R>,
        file: &mut File,
        mut most: u64,
    ) -> Result<(), LayerError> {
        loop {
            let piece = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
            let length = archive.read(&mut self.buffer[..piece])?;
            if length == 0 {
                return Ok(());
            }
            most -= length as u64;
            self.count(length as u64)?;
            let written = file.write_all(&self.buffer[..length]);
            written.map_err(failed(&name.whole(), "write it"))?;
        }
    }

    /// Counts bytes that files have, before they have them.
    fn count(&mut self, bytes: u64) -> Result<(), LayerError> {
        self.applied.bytes = self.applied.bytes.saturating_add(bytes);
        match self.applied.bytes > self.options.max_bytes {
            true => Err(LayerError::TooMuch { what: "bytes", limit: self.options.max_bytes }),
            false => Ok(()),
        }
    }

    /// A new file under this name, open for writing.
    fn new_file(&mut self, name: &Name) -> Result<File, LayerError> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened = match openat(self.tree.parent(name)?, &*name.last, flags, mode) {
            Err(Errno::EXIST) => {
                self.tree.clear(name)?;
                openat(self.tree.parent(name)?, &*name.last, flags, mode)
            }
            opened => opened,
        };
        opened.map(File::from).map_err(failed(&name.whole(), "create it"))
    }

    fn hard_link(&mut self, name: &Name, entry: &TarEntry) -> Result<(), LayerError> {
        let target = Name::split(&entry.link)?;
        let linked = match self.link(&target, name) {
            // Not here; or its directory is deleted here, if a whiteout is none.
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.copy_up(&target)?;
                self.link(&target, name)
            }
            linked => linked,
        };
        linked.map_err(failed(&name.whole(), "make the hard link"))
    }

    fn link(&mut self, target: &Name, name: &Name) -> Result<(), Errno> {
        let from = self.tree.look_up(&target.directory)?;
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        let file = statat(&from, &*target.last, itself)?;
        if is_whiteout(&file) {
            return Err(Errno::NOENT);
        }
        let gone = |_| Errno::NOENT;
        let to = self.tree.parent(name).map_err(gone)?;
        // The last name of the target is not followed.
        match linkat(&from, &*target.last, to, &*name.last, AtFlags::empty()) {
            Err(Errno::EXIST) => {
                let there = statat(to, &*name.last, itself)?;
                if (there.st_dev, there.st_ino) == (file.st_dev, file.st_ino) {
                    return Ok(()); // to make room would remove the file
                }
                self.tree.clear(name).map_err(gone)?;
                let to = self.tree.parent(name).map_err(gone)?;
                linkat(&from, &*target.last, to, &*name.last, AtFlags::empty())
            }
            result => result,
        }
    }

    /// Copies a file of a lower layer into this one, as overlayfs does before a file gets a second
    /// name.
    fn copy_up(&mut self, target: &Name) -> Result<(), LayerError> {
        let whole = target.whole();
        let layers = [self.tree.root()].into_iter();
        let layers: Vec<BorrowedFd<'_>> =
            layers.chain(self.options.lowers.iter().map(|lower| lower.as_fd())).collect();
        let found = find(&layers, target).map_err(failed(&whole, "open it in the layers below"))?;
        let Some(mut from) = found else {
            let text = "the file it links to is in no layer";
            let source = io::Error::new(io::ErrorKind::NotFound, text);
            return Err(failed(&whole, "make the hard link")(source));
        };
        let stat = rustix::fs::fstat(&from).map_err(failed(&whole, "look at it"))?;
        self.count(u64::try_from(stat.st_size).unwrap_or(0))?;
        let mut to = self.new_file(target)?;
        io::copy(&mut from, &mut to).map_err(failed(&whole, "copy it from the layer below"))?;
        let attributes = Attributes::of_file(from.as_fd(), &stat)
            .map_err(failed(&whole, "read its attributes in the layer below"))?;
        attributes.give_to(to.as_fd(), &whole, self.is_root)
    }

    fn symbolic_link(&mut self, name: &Name, entry: &TarEntry) -> Result<(), LayerError> {
        let make = |parent: BorrowedFd<'_>| symlinkat(&*entry.link, parent, &*name.last);
        self.make(name, "make the symbolic link", make)?;
        self.give_to_name(name, &entry.attributes)
    }

    fn device(&mut self, name: &Name, kind: FileType, entry: &TarEntry) -> Result<(), LayerError> {
        // mknod(2) lets an ordinary user make one only: overlayfs's whiteout.
        let is_allowed = kind == FileType::CharacterDevice && entry.device == (0, 0);
        if !self.is_root && !is_allowed {
            self.applied.left_out += 1;
            return Ok(());
        }
        self.node(name, kind, entry.device, &entry.attributes)
    }

    fn node(
        &mut self,
        name: &Name,
        kind: FileType,
        (major, minor): (u32, u32),
        attributes: &Attributes,
    ) -> Result<(), LayerError> {
        let mode = Mode::from_raw_mode(attributes.mode);
        let make = |parent: BorrowedFd<'_>| {
            mknodat(parent, &*name.last, kind, mode, makedev(major, minor))
        };
        self.make(name, "create the node", make)?;
        self.give_to_name(name, attributes)?;
        // The umask has taken bits away. What was just made is no link.
        let parent = self.tree.parent(name)?;
        rustix::fs::chmodat(parent, &*name.last, mode, AtFlags::empty())
            .map_err(failed(&name.whole(), "set its mode"))
    }

    /// Makes an entry that is not opened, in place of what is there.
    fn make(
        &mut self,
        name: &Name,
        action: &'static str,
        make: impl Fn(BorrowedFd<'_>) -> Result<(), Errno>,
    ) -> Result<(), LayerError> {
        let made = match make(self.tree.parent(name)?) {
            Err(Errno::EXIST) => {
                self.tree.clear(name)?;
                make(self.tree.parent(name)?)
            }
            made => made,
        };
        made.map_err(failed(&name.whole(), action))
    }

    /// Owner and times of an entry that cannot be opened; no link is followed.
    fn give_to_name(&mut self, name: &Name, attributes: &Attributes) -> Result<(), LayerError> {
        let is_root = self.is_root;
        let whole = name.whole();
        let parent = self.tree.parent(name)?;
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        if is_root {
            let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
            chownat(parent, &*name.last, Some(uid), Some(gid), itself)
                .map_err(failed(&whole, "set its owner"))?;
        }
        utimensat(parent, &*name.last, &attributes.times(), itself)
            .map_err(failed(&whole, "set its times"))
    }

    /// Gives the directories what they should have, the last ones first: those in others are later.
    fn finish(mut self) -> Result<Applied, LayerError> {
        for (path, attributes) in std::mem::take(&mut self.directories).into_iter().rev() {
            let name = Name::split(&path)?;
            let opened = match name.last.is_empty() {
                true => self.tree.look_up(b""),
                false => self.tree.look_up(&name.directory).and_then(|parent| {
                    itself(parent.as_fd(), &name.last, OFlags::DIRECTORY | OFlags::RDONLY)
                }),
            };
            match opened {
                Ok(directory) => attributes.give_to(directory.as_fd(), &path, self.is_root)?,
                // A later entry has taken its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                // An ordinary user has closed it to himself by an earlier entry of the same name.
                Err(Errno::ACCESS) => {}
                Err(errno) => return Err(failed(&path, "open the directory")(errno)),
            }
        }
        Ok(self.applied)
    }
}
