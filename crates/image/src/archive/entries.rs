//! What an archive has under which name, all of it in the store by then.

use std::{collections::BTreeMap, io};

use tar::EntryType;

use super::{ArchiveError, Result};
use crate::{
    digest::Digest,
    layer::{Reader, TarEntry},
    store::Store,
};

/// No archive of images has more.
const MAX_ENTRIES: usize = 100_000;
/// PATH_MAX of Linux.
const MAX_NAME: usize = 4096;
/// What all names may have together: they are kept in memory.
const MAX_NAMES: usize = 32 << 20;
/// A link to a link to a link.
const MAX_LINKS: usize = 4;

/// What an archive has under which name.
#[derive(Default)]
pub(super) struct Entries {
    files: BTreeMap<String, (Digest, u64)>,
    /// Docker's older archives have a layer once, and links to it.
    links: BTreeMap<String, String>,
}

impl Entries {
    /// Reads the archive, and adds each of its files to the store by its digest.
    pub(super) fn read(store: &Store, input: impl io::Read) -> Result<Self> {
        let mut entries = Self::default();
        let mut archive = Reader::new(input);
        let (mut count, mut names) = (0, 0);
        while let Some(entry) = archive.next().map_err(ArchiveError::Read)? {
            (count, names) = (count + 1, names + entry.name.len() + entry.link.len());
            if count > MAX_ENTRIES {
                return Err(invalid(format!("it has more than {MAX_ENTRIES} entries")));
            }
            if entry.name.len().max(entry.link.len()) > MAX_NAME {
                return Err(invalid(format!("a name has more than {MAX_NAME} bytes")));
            }
            if names > MAX_NAMES {
                return Err(invalid(format!("its names have more than {MAX_NAMES} bytes")));
            }
            entries.add(store, &mut archive, &entry)?;
        }
        Ok(entries)
    }

    fn add(
        &mut self,
        store: &Store,
        archive: &mut Reader<impl io::Read>,
        entry: &TarEntry,
    ) -> Result<()> {
        let Some(name) = normal("", &String::from_utf8_lossy(&entry.name)) else { return Ok(()) };
        match entry.kind {
            EntryType::Regular | EntryType::Continuous if !entry.is_sparse() => {
                let (digest, size, ()) = store.add_with(|out| {
                    io::copy(&mut entry.content(archive).1, out)
                        .map(drop)
                        .map_err(ArchiveError::Read)
                })?;
                self.files.insert(name, (digest, size));
            }
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let from = if kind == EntryType::Symlink { folder } else { "" };
                if let Some(target) = normal(from, &String::from_utf8_lossy(&entry.link)) {
                    self.links.insert(name, target);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The file under this name, perhaps by a link.
    pub(super) fn find(&self, name: &str) -> Option<(Digest, u64)> {
        let mut name = normal("", name)?;
        for _ in 0..MAX_LINKS {
            match (self.files.get(&name), self.links.get(&name)) {
                (Some(found), _) => return Some(found.clone()),
                (None, Some(target)) => name.clone_from(target),
                (None, None) => return None,
            }
        }
        None
    }
}

/// `target`, seen from the directory `from`, without `.` and `..`; nothing if it leads out.
fn normal(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn invalid(why: String) -> ArchiveError {
    ArchiveError::Invalid { why }
}
