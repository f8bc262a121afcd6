//! Reads a tar archive entry by entry: ustar, GNU and PAX.
//!
//! The archive says how long its names, records and maps are; what is kept of it in memory is
//! bounded here, and content goes through a buffer.
//!
//! ```text
//!   [PAX records] [long name] header  content, padded to 512 bytes
//!    ^^^^^^^^^^^^^^^^^^^^^^^^^ what belongs to the next header
//! ```
//!
//! Source: POSIX.1-2017, pax(1), "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format".

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::{
    attributes::Attributes,
    blocks::Reader,
    records::Records,
    sparse::{self, Filled, Map},
};

/// What an archive has under a name.
#[derive(Debug)]
pub(crate) struct TarEntry {
    pub(crate) kind: EntryType,
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(crate) device: (u32, u32),
    /// Where the content belongs, if not all of it is there.
    pub(super) map: Option<Map>,
}

impl TarEntry {
    /// Whether not all of its content is in the archive.
    pub(crate) fn is_sparse(&self) -> bool {
        self.map.is_some()
    }

    /// How long its content is, and the content, with zeros where a sparse file has holes.
    pub(crate) fn content<'a, R: Read>(&self, archive: &'a mut Reader<R>) -> (u64, Filled<'a, R>) {
        let (size, pieces) = match &self.map {
            None => (archive.left, vec![(0, archive.left)]),
            Some(map) => (map.size, map.pieces.clone()),
        };
        (size, Filled::new(archive, size, pieces))
    }
}

/// What precedes a header and changes it.
#[derive(Default)]
struct Before {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// The next entry; what was not read of the last one is skipped.
    pub(crate) fn next(&mut self) -> io::Result<Option<TarEntry>> {
        let mut before = Before::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::XHeader => before.records = Some(Records::read(&self.extension(size)?)?),
                EntryType::GNULongName => before.name = Some(until_zero(self.extension(size)?)),
                EntryType::GNULongLink => before.link = Some(until_zero(self.extension(size)?)),
                // Of all entries, as a comment on the archive; Docker leaves them out as well.
                EntryType::XGlobalHeader => self.content(size)?,
                _ => return self.entry(&header, before).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &Header, before: Before) -> io::Result<TarEntry> {
        let records = before.records.unwrap_or_default();
        let mut kind = header.entry_type();
        let mut name = before.name.unwrap_or_else(|| header.path_bytes().into_owned());
        if let Some(path) = &records.path {
            name.clone_from(path);
        }
        let link = records.link.clone().or(before.link);
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        // Archives before POSIX have no type for directories.
        if kind == EntryType::Regular && name.ends_with(b"/") {
            kind = EntryType::Directory;
        }
        // The others have no content, whatever their headers say of a size, as in Go's archive/tar.
        let has_content =
            matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let size = records.size.map_or_else(|| header.entry_size(), Ok)?;
        self.content(if has_content { size } else { 0 })?;
        let map = match kind {
            EntryType::GNUSparse => Some(sparse::of_header(self, header)?),
            EntryType::Regular => sparse::of_records(self, &records)?,
            _ => None,
        };
        if let Some(map) = &map {
            map.verify(self.left)?;
            if let Some(path) = &records.sparse.name {
                name.clone_from(path);
            }
        }
        let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
        Ok(TarEntry {
            kind,
            name,
            link: link.unwrap_or_default(),
            attributes: Attributes::of(header, records)?,
            device: (number(header.device_major()), number(header.device_minor())),
            map,
        })
    }
}

fn until_zero(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0);
    name.truncate(end.unwrap_or(name.len()));
    name
}
