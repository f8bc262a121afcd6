//! What an entry of a layer is, and the layer that it is written to: an archive, compressed.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt as _,
};

use crate::{
    digest::Digest,
    layer::{self, Attributes, Node, Packed},
};

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
    archive: layer::LayerWriter<Packed<&'a mut dyn Write>>,
    /// No time is later.
    latest: Option<u64>,
}

impl<'a> LayerWriter<'a> {
    pub(super) fn new(output: &'a mut dyn Write, latest: Option<u64>) -> Self {
        Self { archive: layer::LayerWriter::new(Packed::new(output)), latest }
    }

    pub(super) fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> io::Result<()> {
        let (name, attributes) = (joined(names), self.clamped(attributes));
        match kind {
            Kind::Directory => self.archive.directory(&name, &attributes),
            Kind::File { size, content } => self.archive.file(&name, &attributes, size, content),
            Kind::Link(text) => self.archive.symbolic_link(&name, &attributes, text.as_bytes()),
            Kind::HardLink(target) => self.archive.hard_link(&name, &attributes, &joined(target)),
            Kind::Node(node) => self.archive.node(&name, &attributes, node),
        }
    }

    /// No time is later than the latest.
    fn clamped(&self, attributes: &Attributes) -> Attributes {
        let (seconds, nanoseconds) = attributes.mtime;
        let latest = self.latest.and_then(|latest| i64::try_from(latest).ok());
        let mtime = match latest {
            Some(latest) if seconds >= latest => (latest, 0),
            _ => (seconds, nanoseconds),
        };
        Attributes { mtime, ..attributes.clone() }
    }

    /// Ends the archive; its diff id.
    pub(super) fn finish(self) -> io::Result<Digest> {
        self.archive.finish()?.finish()
    }
}

pub(super) fn joined(names: &[OsString]) -> Vec<u8> {
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    names.join(&b'/')
}
