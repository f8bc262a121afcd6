//! Writes a layer's archive: the same bytes for the same entries.
//!
//! Every header is POSIX ustar. What does not fit into one is said by a PAX record before it, and
//! only then: long names, large ids and sizes, times that are not whole seconds, extended attributes.
//! The order is the caller's.
//!
//! Source: POSIX.1-2017, pax(1), "pax Interchange Format" and "ustar Interchange Format"; the
//! records of extended attributes are those of star(1), as Docker's.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::{Attributes, OPAQUE, WHITEOUT, xattrs::XATTR};

/// An archive is written in blocks of so many bytes.
const BLOCK: u64 = 512;

/// Octal digits that a field of 8 and one of 12 bytes hold, as numbers.
const MAX_ID: u64 = 0o777_7777;
const MAX_SIZE: u64 = 0o777_7777_7777;

/// How long a name may be in a header.
const NAME: usize = 100;

/// A device or a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
}

/// An archive that is being written.
#[derive(Debug)]
pub struct LayerWriter<W> {
    out: W,
}

/// An entry before it is encoded.
struct EntryHeader<'e> {
    kind: EntryType,
    name: &'e [u8],
    link: &'e [u8],
    length: u64,
    device: (u32, u32),
}

impl<W: Write> LayerWriter<W> {
    /// An archive that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// A directory. Names have no slash at either end.
    ///
    /// # Errors
    ///
    /// This one's and those of the others: when the entry cannot be encoded or written.
    pub fn directory(&mut self, name: &[u8], attributes: &Attributes) -> io::Result<()> {
        let name = [name, b"/"].concat();
        self.header(&entry(EntryType::Directory, &name), attributes)
    }

    /// A file of `length` bytes, which `content` must have.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn file(
        &mut self,
        name: &[u8],
        attributes: &Attributes,
        length: u64,
        content: impl Read,
    ) -> io::Result<()> {
        self.header(&EntryHeader { length, ..entry(EntryType::Regular, name) }, attributes)?;
        let written = io::copy(&mut content.take(length), &mut self.out)?;
        if written < length {
            let text = format!("the file became shorter: {written} of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.pad(length)
    }

    /// A symbolic link to `target`.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn symbolic_link(
        &mut self,
        name: &[u8],
        attributes: &Attributes,
        target: &[u8],
    ) -> io::Result<()> {
        self.header(&EntryHeader { link: target, ..entry(EntryType::Symlink, name) }, attributes)
    }

    /// A second name of the entry `target`, which was written before.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn hard_link(
        &mut self,
        name: &[u8],
        attributes: &Attributes,
        target: &[u8],
    ) -> io::Result<()> {
        self.header(&EntryHeader { link: target, ..entry(EntryType::Link, name) }, attributes)
    }

    /// A device or a pipe.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn node(&mut self, name: &[u8], attributes: &Attributes, node: Node) -> io::Result<()> {
        let (kind, device) = match node {
            Node::Fifo => (EntryType::Fifo, (0, 0)),
            Node::Character(major, minor) => (EntryType::Char, (major, minor)),
            Node::Block(major, minor) => (EntryType::Block, (major, minor)),
        };
        self.header(&EntryHeader { device, ..entry(kind, name) }, attributes)
    }

    /// Says that what lower layers have under `name` is deleted. Neither this nor the next has an owner
    /// or a time: overlayfs has one inode for many whiteouts, as old as the first.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn whiteout(&mut self, name: &[u8]) -> io::Result<()> {
        let last = name.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let name = [&name[..last], WHITEOUT, &name[last..]].concat();
        self.header(&entry(EntryType::Regular, &name), &Attributes::default())
    }

    /// Says that nothing of what lower layers have in `directory` is seen. The root is `""`.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn opaque(&mut self, directory: &[u8]) -> io::Result<()> {
        let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        let name = [directory, slash, OPAQUE].concat();
        self.header(&entry(EntryType::Regular, &name), &Attributes::default())
    }

    /// Ends the archive.
    #[expect(clippy::missing_errors_doc, reason = "said once, above")]
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        Ok(self.out)
    }

    fn header(&mut self, entry: &EntryHeader<'_>, attributes: &Attributes) -> io::Result<()> {
        let mut records = Records::default();
        let header = encode(entry, attributes, &mut records)?;
        if !records.bytes.is_empty() {
            let length = records.bytes.len() as u64;
            let extended = EntryHeader { length, ..self::entry(EntryType::XHeader, b"PaxHeader") };
            let plain = Attributes { mode: 0o644, ..Attributes::default() };
            let extended = encode(&extended, &plain, &mut Records::default())?;
            self.out.write_all(extended.as_bytes())?;
            self.out.write_all(&records.bytes)?;
            self.pad(length)?;
        }
        self.out.write_all(header.as_bytes())
    }

    /// Fills the last block of a content.
    fn pad(&mut self, length: u64) -> io::Result<()> {
        let rest = usize::try_from(length.next_multiple_of(BLOCK) - length).unwrap_or(0);
        self.out.write_all(&[0; BLOCK as usize][..rest])
    }
}

fn entry(kind: EntryType, name: &[u8]) -> EntryHeader<'_> {
    EntryHeader { kind, name, link: b"", length: 0, device: (0, 0) }
}

fn encode(
    entry: &EntryHeader<'_>,
    attributes: &Attributes,
    records: &mut Records,
) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry.kind);
    header.set_mode(attributes.mode & 0o7777);
    let (seconds, nanoseconds) = attributes.mtime;
    let whole = u64::try_from(seconds).ok().filter(|it| *it <= MAX_SIZE && nanoseconds == 0);
    header.set_mtime(whole.unwrap_or(0));
    header.set_uid(records.number("uid", attributes.uid.into(), MAX_ID)?);
    header.set_gid(records.number("gid", attributes.gid.into(), MAX_ID)?);
    header.set_size(records.number("size", entry.length, MAX_SIZE)?);
    header.set_device_major(entry.device.0)?;
    header.set_device_minor(entry.device.1)?;
    let fields = header.as_ustar_mut().expect("it was made as one");
    records.name("path", entry.name, &mut fields.name)?;
    records.name("linkpath", entry.link, &mut fields.linkname)?;
    if whole.is_none() {
        records.add("mtime", seconds_text(attributes.mtime).as_bytes())?;
    }
    for (key, value) in &attributes.xattrs {
        records.add(&format!("{XATTR}{key}"), value)?;
    }
    header.set_cksum();
    Ok(header)
}

/// `-1.25` is a second and a quarter before 1970, which a file system has as -2 s and 750 ms.
fn seconds_text((seconds, nanoseconds): (i64, u32)) -> String {
    let (sign, seconds, nanoseconds) = match (seconds < 0, nanoseconds) {
        (true, 1..) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (false, _) => ("", seconds.unsigned_abs(), nanoseconds),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The records of a PAX header: each `LENGTH KEY=VALUE\n`, where the length counts itself.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
}

impl Records {
    fn add(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        if key.bytes().any(|byte| matches!(byte, b'=' | b'\n')) {
            let text = format!("an archive cannot have the attribute {key:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
        Ok(())
    }

    /// What the header's field has of this number.
    fn number(&mut self, key: &str, number: u64, most: u64) -> io::Result<u64> {
        if number <= most {
            return Ok(number);
        }
        self.add(key, number.to_string().as_bytes())?;
        Ok(0)
    }

    fn name(&mut self, key: &str, name: &[u8], field: &mut [u8; NAME]) -> io::Result<()> {
        if name.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name with a zero byte"));
        }
        let short = name.len().min(NAME);
        field[..short].copy_from_slice(&name[..short]);
        if name.len() > NAME { self.add(key, name) } else { Ok(()) }
    }
}
