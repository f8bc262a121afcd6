//! Sinks of the files that are copied: what changes them, and what keeps their digest.

use std::ffi::OsString;

use super::{
    error::StepError,
    owner::Permissions,
    target::Target,
    tree::{Fingerprint, Sink},
    writer::Kind,
};
use crate::{
    digest::{Algorithm, HashingReader},
    layer::Attributes,
};

/// Gives files another owner and other permissions.
pub(super) struct Changed<'a, S> {
    pub(super) owner: Option<(u32, u32)>,
    pub(super) permissions: Option<&'a Permissions>,
    pub(super) sink: &'a mut S,
}

impl<S: Sink> Sink for Changed<'_, S> {
    fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> Result<(), StepError> {
        let mut attributes = attributes.clone();
        if let Some((uid, gid)) = self.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
            // As chown(2) does.
            if !matches!(kind, Kind::Directory) {
                attributes.xattrs.retain(|(name, _)| name != "security.capability");
            }
        }
        if let (Some(permissions), false) = (self.permissions, matches!(kind, Kind::Link(_))) {
            attributes.mode = permissions.apply(attributes.mode, matches!(kind, Kind::Directory));
        }
        self.sink.entry(names, &attributes, kind)
    }
}

/// The layer, and the digest of what goes into it.
pub(super) struct Recorded<'a, 'b> {
    pub(super) fingerprint: Fingerprint,
    pub(super) target: &'a mut Target<'b>,
}

impl Sink for Recorded<'_, '_> {
    fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> Result<(), StepError> {
        match kind {
            Kind::File { size, content } => {
                let mut hashing = HashingReader::new(Algorithm::Sha256, content);
                self.target.entry(names, attributes, Kind::File { size, content: &mut hashing })?;
                self.fingerprint.header(names, attributes, b'f');
                let digest = hashing.finish();
                self.fingerprint.field(format!("{size} {digest}").as_bytes());
                Ok(())
            }
            other => {
                self.fingerprint.without_content(names, attributes, &other);
                self.target.entry(names, attributes, other)
            }
        }
    }
}
