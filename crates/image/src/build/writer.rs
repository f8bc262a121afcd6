//! Writes a layer: a tar archive, compressed, the same bytes for the same files.
//!
//! Source: tar(5), "GNU tar"; OCI image specification, "Image Layer Filesystem Changeset".

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt as _,
};

use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use crate::{
    compression,
    digest::{Algorithm, Digest, Digester},
    layer::{OPAQUE, WHITEOUT},
};

/// What a header has of a name, or of a link's text; longer ones have an entry of their own before.
const SHORT: usize = 100;

/// What an entry has beside its name and content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
    /// Extended attributes, sorted by name.
    pub(super) extended: Vec<(String, Vec<u8>)>,
}

/// What an entry is.
pub(super) enum Kind<'a> {
    Directory,
    File {
        size: u64,
        content: &'a mut dyn Read,
    },
    Link(&'a OsStr),
    /// To a name in the layer.
    HardLink(&'a [OsString]),
    Node {
        kind: EntryType,
        major: u32,
        minor: u32,
    },
}

/// A layer that is being written.
pub(super) struct LayerWriter<'a> {
    archive: tar::Builder<Hashing<GzEncoder<&'a mut dyn Write>>>,
    /// No time is later.
    latest: Option<u64>,
}

impl<'a> LayerWriter<'a> {
    pub(super) fn new(output: &'a mut dyn Write, latest: Option<u64>) -> Self {
        let digester = Digester::new(Algorithm::Sha256);
        let archive = tar::Builder::new(Hashing { inner: compression::gzip(output), digester });
        Self { archive, latest }
    }

    pub(super) fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(attributes.mode & 0o7777);
        header.set_uid(attributes.uid);
        header.set_gid(attributes.gid);
        header
            .set_mtime(self.latest.map_or(attributes.mtime, |latest| latest.min(attributes.mtime)));
        header.set_size(0);
        let mut name = joined(names);
        let (mut link, mut content): (Vec<u8>, &mut dyn Read) = (Vec::new(), &mut io::empty());
        let entry_type = match kind {
            Kind::Directory => {
                name.push(b'/');
                EntryType::Directory
            }
            Kind::File { size, content: reader } => {
                header.set_size(size);
                content = reader;
                EntryType::Regular
            }
            Kind::Link(text) => {
                link = text.as_bytes().to_vec();
                EntryType::Symlink
            }
            Kind::HardLink(target) => {
                link = joined(target);
                EntryType::Link
            }
            Kind::Node { kind, major, minor } => {
                header.set_device_major(major)?;
                header.set_device_minor(minor)?;
                kind
            }
        };
        header.set_entry_type(entry_type);
        self.extended(attributes)?;
        self.long(EntryType::GNULongName, &name)?;
        self.long(EntryType::GNULongLink, &link)?;
        let old = header.as_old_mut();
        old.name[..name.len().min(SHORT)].copy_from_slice(&name[..name.len().min(SHORT)]);
        old.linkname[..link.len().min(SHORT)].copy_from_slice(&link[..link.len().min(SHORT)]);
        header.set_cksum();
        self.archive.append(&header, content)
    }

    fn extended(&mut self, attributes: &Attributes) -> io::Result<()> {
        let keys = attributes
            .extended
            .iter()
            .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()));
        let keys: Vec<(String, &[u8])> = keys.collect();
        match keys.is_empty() {
            true => Ok(()),
            false => self
                .archive
                .append_pax_extensions(keys.iter().map(|(name, value)| (name.as_str(), *value))),
        }
    }

    /// The entry before the one whose name or link does not fit into its header.
    fn long(&mut self, kind: EntryType, text: &[u8]) -> io::Result<()> {
        if text.len() <= SHORT {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        let name = b"././@LongLink";
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(text.len() as u64 + 1);
        header.set_entry_type(kind);
        header.set_cksum();
        self.archive.append(&header, text.chain(&b"\0"[..]))
    }

    /// That nothing below has this name.
    pub(super) fn whiteout(&mut self, directory: &[OsString], name: &OsStr) -> io::Result<()> {
        let name = OsStr::from_bytes(&[WHITEOUT, name.as_bytes()].concat()).to_owned();
        self.mark(directory, name)
    }

    /// That nothing of the directory shows from below.
    pub(super) fn opaque(&mut self, directory: &[OsString]) -> io::Result<()> {
        self.mark(directory, OsStr::from_bytes(OPAQUE).to_owned())
    }

    fn mark(&mut self, directory: &[OsString], name: OsString) -> io::Result<()> {
        let names: Vec<OsString> = directory.iter().cloned().chain([name]).collect();
        let kind = Kind::File { size: 0, content: &mut io::empty() };
        self.entry(&names, &Attributes::default(), kind)
    }

    /// Ends the archive; its diff id.
    pub(super) fn finish(self) -> io::Result<Digest> {
        let hashing = self.archive.into_inner()?;
        hashing.inner.finish()?.flush()?;
        Ok(hashing.digester.finish())
    }
}

pub(super) fn joined(names: &[OsString]) -> Vec<u8> {
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    names.join(&b'/')
}

/// A writer that hashes what it is given.
struct Hashing<W> {
    inner: W,
    digester: Digester,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.digester.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
