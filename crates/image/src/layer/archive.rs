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
    records::Records,
    sparse::{self, Map},
};

/// The unit of an archive.
pub(super) const BLOCK: usize = 512;

/// How long a name, the records of an entry, or a map may be, as in Go's archive/tar.
pub(super) const MAX_EXTENSION: u64 = 1 << 20;

/// An archive that is being read.
pub(super) struct Reader<R> {
    input: R,
    /// Bytes of the last entry's content that were not read, and its padding.
    left: u64,
    padding: u64,
}

/// What an archive has under a name.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: EntryType,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) attributes: Attributes,
    pub(super) device: (u32, u32),
    /// Where the content belongs, if not all of it is there.
    pub(super) map: Option<Map>,
}

/// What precedes a header and changes it.
#[derive(Default)]
struct Before {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next entry; what was not read of the last one is skipped.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
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

    /// A block that is a header; none at the end, which is a block of zeros or of the input.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut length = 0;
        while length < BLOCK {
            match self.input.read(&mut block[length..]) {
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        /// The checksum's own field counts as spaces.
        const CHECKSUM: std::ops::Range<usize> = 148..156;
        let own = block[CHECKSUM].iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let all = block.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let sum = all - own + 8 * u32::from(b' ');
        match header.cksum() {
            Ok(stated) if stated == sum => Ok(Some(header)),
            _ => Err(invalid("not a tar archive, or damaged: the checksum of a header is wrong")),
        }
    }

    fn entry(&mut self, header: &Header, before: Before) -> io::Result<Entry> {
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
        Ok(Entry {
            kind,
            name,
            link: link.unwrap_or_default(),
            attributes: Attributes::of(header, records)?,
            device: (number(header.device_major()), number(header.device_minor())),
            map,
        })
    }

    /// Reads up to a buffer of the entry's content; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        loop {
            match self.input.read(&mut buffer[..most]) {
                Ok(0) => return Err(cut_off()),
                Ok(length) => {
                    self.left -= length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Blocks between a header and its content.
    pub(super) fn block(&mut self) -> io::Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block)?;
        Ok(block)
    }

    /// A block of the content.
    pub(super) fn block_of_content(&mut self) -> io::Result<[u8; BLOCK]> {
        self.left = self
            .left
            .checked_sub(BLOCK as u64)
            .ok_or_else(|| invalid("the map of a sparse file does not end"))?;
        self.block()
    }

    fn content(&mut self, size: u64) -> io::Result<()> {
        let end = size.checked_next_multiple_of(BLOCK as u64);
        let end = end.ok_or_else(|| invalid("the size of an entry is out of range"))?;
        (self.left, self.padding) = (size, end - size);
        Ok(())
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            let text = format!("a name or record is longer than {MAX_EXTENSION} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.content(size)?;
        let mut bytes = vec![0; usize::try_from(size).expect("it was just compared")];
        self.input.read_exact(&mut bytes)?;
        self.left = 0;
        Ok(bytes)
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        if skipped < rest { Err(cut_off()) } else { Ok(()) }
    }
}

fn until_zero(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0);
    name.truncate(end.unwrap_or(name.len()));
    name
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off")
}

pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
