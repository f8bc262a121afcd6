//! The archive of a root, whose content comes from the host's files as it is written.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{
    archive::{self, Archive, Header},
    error::InitramfsError,
    root::{ArchiveEntry, Content, Root},
};
use crate::Result;

impl Root {
    /// The length of the archive that [`Self::write`] writes.
    pub fn bytes(&self) -> u64 {
        let names = self.names();
        let entries = self.entries.iter().map(|(path, entry)| {
            archive::entry_bytes(path.as_os_str(), names.length(path, entry).into())
        });
        entries.sum::<u64>() + archive::trailer_bytes()
    }

    /// Writes the archive and gives the output back.
    ///
    /// # Errors
    ///
    /// When a file of the host cannot be read any more, or the output takes no more.
    pub fn write<Output: Write>(&self, output: Output) -> Result<Output> {
        let names = self.names();
        let mut archive = Archive::new(output);
        for ((path, entry), number) in self.entries.iter().zip(1..) {
            let length = names.length(path, entry);
            let (number, links) =
                names.of(entry).map_or((number, 1), |(names, first)| (first, names));
            let about = Header { number, links, length, ..entry.about };
            let mut file = None;
            let (content, source): (&mut dyn io::Read, _) = match &entry.content {
                Content::Bytes(bytes) => (&mut bytes.as_slice(), None),
                Content::HostFile { .. } if length == 0 => (&mut io::empty(), None),
                Content::HostFile { path, .. } => (file.insert(open(path)?), Some(path)),
            };
            archive.whole(path.as_os_str(), &about, content).map_err(|error| match source {
                Some(path) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    InitramfsError::Changed { path: path.clone() }
                }
                _ => InitramfsError::Write(error),
            })?;
        }
        Ok(archive.finish().map_err(InitramfsError::Write)?)
    }

    /// The archive in memory.
    ///
    /// # Errors
    ///
    /// When a file of the host cannot be read any more.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        self.write(Vec::with_capacity(usize::try_from(self.bytes()).unwrap_or(0)))
    }

    /// The files with several names among the entries.
    fn names(&self) -> Names<'_> {
        let mut files = HashMap::new();
        for ((path, entry), number) in self.entries.iter().zip(1..) {
            if let Some(inode) = entry.inode {
                let file = files.entry(inode).or_insert((0, number, path.as_path()));
                *file = (file.0 + 1, file.1, path);
            }
        }
        Names { files }
    }
}

/// Files with several names: how many, the number of the first, and the last, which has the content
/// in the archive.
struct Names<'a> {
    files: HashMap<(u64, u64), (u32, u32, &'a Path)>,
}

impl Names<'_> {
    /// How many names the file of this entry has, and the number of the first.
    fn of(&self, entry: &ArchiveEntry) -> Option<(u32, u32)> {
        let (names, first, _) = self.files.get(&entry.inode?)?;
        Some((*names, *first))
    }

    /// How much content the entry has in the archive.
    fn length(&self, path: &Path, entry: &ArchiveEntry) -> u32 {
        match entry.inode.and_then(|inode| self.files.get(&inode)) {
            Some((.., last)) if *last != path => 0,
            _ => entry.content.length(),
        }
    }
}

/// A file of the host that was a regular one when it was added.
fn open(path: &Path) -> Result<File> {
    // Neither followed through a link nor waited for, if it has become a pipe.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    Ok(opened.map_err(|source| InitramfsError::Read { path: path.to_owned(), source })?)
}
