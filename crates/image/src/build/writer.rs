//! What an entry of a layer is, and the layer that it is written to: an archive, compressed.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt as _,
};

use flate2::write::GzEncoder;

use crate::{
    compression,
    digest::{Algorithm, Digest, Digester},
    layer::{self, Node},
};

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
    Node(Node),
}

/// A layer that is being written.
pub(super) struct LayerWriter<'a> {
    archive: layer::LayerWriter<Packed<'a>>,
    /// No time is later.
    latest: Option<u64>,
}

/// Where the archive goes: hashed, and compressed.
pub(super) type Packed<'a> = Hashing<GzEncoder<&'a mut dyn Write>>;

pub(super) fn packed(output: &mut dyn Write) -> Packed<'_> {
    Hashing { inner: compression::gzip(output), digester: Digester::new(Algorithm::Sha256) }
}

impl Packed<'_> {
    /// Ends the compression; the diff id of what went in.
    pub(super) fn diff_id(self) -> io::Result<Digest> {
        self.inner.finish()?.flush()?;
        Ok(self.digester.finish())
    }
}

impl<'a> LayerWriter<'a> {
    pub(super) fn new(output: &'a mut dyn Write, latest: Option<u64>) -> Self {
        Self { archive: layer::LayerWriter::new(packed(output)), latest }
    }

    pub(super) fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> io::Result<()> {
        let (name, attributes) = (joined(names), self.encoded(attributes)?);
        match kind {
            Kind::Directory => self.archive.directory(&name, &attributes),
            Kind::File { size, content } => self.archive.file(&name, &attributes, size, content),
            Kind::Link(text) => self.archive.symbolic_link(&name, &attributes, text.as_bytes()),
            Kind::HardLink(target) => self.archive.hard_link(&name, &attributes, &joined(target)),
            Kind::Node(node) => self.archive.node(&name, &attributes, node),
        }
    }

    fn encoded(&self, attributes: &Attributes) -> io::Result<layer::Attributes> {
        let id = |id: u64| {
            u32::try_from(id)
                .map_err(|_| io::Error::other(format!("{id} is no user or group of Linux")))
        };
        let mtime = self.latest.map_or(attributes.mtime, |latest| latest.min(attributes.mtime));
        Ok(layer::Attributes {
            uid: id(attributes.uid)?,
            gid: id(attributes.gid)?,
            mode: attributes.mode,
            mtime: (i64::try_from(mtime).unwrap_or(i64::MAX), 0),
            xattrs: attributes.extended.clone(),
        })
    }

    /// Ends the archive; its diff id.
    pub(super) fn finish(self) -> io::Result<Digest> {
        self.archive.finish()?.diff_id()
    }
}

pub(super) fn joined(names: &[OsString]) -> Vec<u8> {
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    names.join(&b'/')
}

/// A writer that hashes what it is given.
pub(super) struct Hashing<W> {
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
