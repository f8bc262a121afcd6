//! A guest's root in the making: which files it has, and where their content is.
//!
//! The content of the host's files is read when the archive is written, so that a root of a
//! gigabyte takes little memory before it goes into the guest's.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use super::{
    archive::{self, DIRECTORY, FILE, Header, LINK},
    error::InitramfsError,
};
use crate::Result;

/// As many links as Linux follows on the way to a file (path_resolution(7)).
pub(super) const MAX_LINKS: u32 = 40;

/// What is going to be the guest's root file system.
#[derive(Debug, Default)]
pub struct Root {
    /// By path, so that a directory comes before what is in it.
    pub(super) entries: BTreeMap<PathBuf, ArchiveEntry>,
    /// What trees that are added from now on do not show, though they have it.
    pub(super) hidden: BTreeSet<PathBuf>,
}

#[derive(Debug)]
pub(super) struct ArchiveEntry {
    pub(super) about: Header,
    pub(super) content: Content,
    /// Device and inode on the host of a file with several names.
    pub(super) inode: Option<(u64, u64)>,
}

#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    HostFile { path: PathBuf, bytes: u32 },
}

impl Content {
    pub(super) fn length(&self) -> u32 {
        match self {
            // What is longer is refused before.
            Self::Bytes(bytes) => bytes.len() as u32,
            Self::HostFile { bytes, .. } => *bytes,
        }
    }
}

impl ArchiveEntry {
    fn new(mode: u32, content: Vec<u8>) -> Self {
        let about = Header { mode, ..Header::default() };
        Self { about, content: Content::Bytes(content), inode: None }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.about.mode & libc::S_IFMT == DIRECTORY
    }

    /// Where it leads, if it is a symbolic link.
    fn target(&self) -> Option<&Path> {
        match &self.content {
            Content::Bytes(bytes) if self.about.mode & libc::S_IFMT == LINK => {
                Some(Path::new(OsStr::from_bytes(bytes)))
            }
            _ => None,
        }
    }
}

impl Root {
    /// An empty root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory of root's with these permissions, and those above it with `0o755`; one that
    /// is there stays as it is.
    ///
    /// # Errors
    ///
    /// When the path leads out of the root, or through what is no directory.
    pub fn directory(&mut self, path: impl AsRef<Path>, permissions: u32) -> Result<()> {
        let path = self.resolve(path.as_ref())?;
        let path = self.place(&path)?;
        if !self.entries.get(&path).is_some_and(ArchiveEntry::is_directory) {
            self.put(path, ArchiveEntry::new(DIRECTORY | permissions & 0o7777, Vec::new()));
        }
        Ok(())
    }

    /// Adds a file of root's with these permissions, instead of what may be there.
    ///
    /// # Errors
    ///
    /// When it has 4 GiB or more, and as of [`Self::directory`].
    pub fn file(
        &mut self,
        path: impl AsRef<Path>,
        permissions: u32,
        content: impl Into<Vec<u8>>,
    ) -> Result<()> {
        let (path, content) = (path.as_ref(), content.into());
        if u32::try_from(content.len()).is_err() {
            let bytes = content.len() as u64;
            return Err(InitramfsError::TooLarge { path: path.to_owned(), bytes }.into());
        }
        let path = self.place(path)?;
        self.put(path, ArchiveEntry::new(FILE | permissions & 0o7777, content));
        Ok(())
    }

    /// Adds a symbolic link to `target`, instead of what may be there.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn link(&mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<()> {
        archive::check_name(target.as_ref())?;
        let path = self.place(path.as_ref())?;
        let target = target.as_ref().as_os_str().as_bytes().to_vec();
        self.put(path, ArchiveEntry::new(LINK | 0o777, target));
        Ok(())
    }

    /// Adds the character device of that major and minor number, instead of what may be there.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn character_device(
        &mut self,
        path: impl AsRef<Path>,
        permissions: u32,
        device: (u32, u32),
    ) -> Result<()> {
        self.device(path.as_ref(), libc::S_IFCHR | permissions & 0o7777, device)
    }

    /// The same for a block device.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn block_device(
        &mut self,
        path: impl AsRef<Path>,
        permissions: u32,
        device: (u32, u32),
    ) -> Result<()> {
        self.device(path.as_ref(), libc::S_IFBLK | permissions & 0o7777, device)
    }

    fn device(&mut self, path: &Path, mode: u32, device: (u32, u32)) -> Result<()> {
        let path = self.place(path)?;
        let mut entry = ArchiveEntry::new(mode, Vec::new());
        entry.about.device = device;
        self.put(path, entry);
        Ok(())
    }

    /// Adds all of `other` below `folder`, as if that were its root.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn put_below(&mut self, folder: impl AsRef<Path>, other: Self) -> Result<()> {
        self.directory(&folder, 0o755)?;
        let folder = self.resolve(folder.as_ref())?;
        for (path, entry) in other.entries {
            let path = folder.join(path);
            archive::check_name(&path)?;
            self.put(path, entry);
        }
        Ok(())
    }

    /// The path of the program that `word` names in this root: `word` itself if it has a slash, or
    /// else the first of that name in the folders of `path`, a variable like `PATH`.
    pub fn program(&self, word: &OsStr, path: &OsStr) -> Option<PathBuf> {
        let is_program = |path: &PathBuf| {
            let entry = self.resolve(path).ok().and_then(|real| self.entries.get(&real));
            entry.is_some_and(|it| {
                it.about.mode & libc::S_IFMT == FILE && it.about.mode & 0o111 != 0
            })
        };
        if word.is_empty() {
            return None;
        }
        if word.as_bytes().contains(&b'/') {
            return Some(Path::new("/").join(word)).filter(is_program);
        }
        std::env::split_paths(path).map(|folder| folder.join(word)).find(is_program)
    }

    /// Whether there is something at that path, at the end of all links on its way.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        let found = self.resolve(path.as_ref());
        found.is_ok_and(|path| path == Path::new("") || self.entries.contains_key(&path))
    }

    /// Puts an entry at a path whose directories are there.
    pub(super) fn put(&mut self, path: PathBuf, entry: ArchiveEntry) {
        // Of the root itself, the kernel has made a directory.
        if path.as_os_str().is_empty() {
            return;
        }
        if !entry.is_directory() && self.entries.get(&path).is_some_and(ArchiveEntry::is_directory)
        {
            self.entries.retain(|inside, _| !inside.starts_with(&path));
        }
        self.entries.insert(path, entry);
    }

    /// Where a new entry of that path belongs: below its parent, whose links are followed and whose
    /// directories are made.
    pub(super) fn place(&mut self, path: &Path) -> Result<PathBuf> {
        let path = archive::inside(path)?;
        let Some(name) = path.file_name() else { return Ok(path) };
        let parent = self.resolve(path.parent().unwrap_or(Path::new("")))?;
        // Links may have made it longer.
        archive::check_name(&parent.join(name))?;
        let mut above: Vec<&Path> = parent.ancestors().collect();
        above.pop(); // The root is there.
        for directory in above.into_iter().rev() {
            match self.entries.get(directory) {
                None => {
                    self.put(
                        directory.to_owned(),
                        ArchiveEntry::new(DIRECTORY | 0o755, Vec::new()),
                    );
                }
                Some(entry) if entry.is_directory() => {}
                Some(_) => return Err(InitramfsError::Nowhere { path }.into()),
            }
        }
        Ok(parent.join(name))
    }

    /// The path at the end of all links in `path`, as far as there are entries.
    pub(super) fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let mut links = 0;
        let mut resolved = PathBuf::new();
        let mut rest: Vec<_> =
            path.components().rev().map(|part| part.as_os_str().to_owned()).collect();
        while let Some(part) = rest.pop() {
            match Path::new(&part).components().next() {
                Some(Component::Normal(name)) => resolved.push(name),
                // Above the root is the root.
                Some(Component::ParentDir) => drop(resolved.pop()),
                Some(Component::RootDir) => resolved.clear(),
                _ => {}
            }
            if let Some(target) = self.entries.get(&resolved).and_then(ArchiveEntry::target) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(InitramfsError::Nowhere { path: path.to_owned() }.into());
                }
                resolved.pop();
                rest.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
            }
        }
        Ok(resolved)
    }
}
