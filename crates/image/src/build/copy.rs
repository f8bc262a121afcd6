//! `COPY` and `ADD`: which files go where.
//!
//! <https://docs.docker.com/reference/dockerfile/#copy>

use std::{
    ffi::{OsStr, OsString},
    io,
};

use super::{
    archive,
    error::{StepError, file},
    owner::{Permissions, owner},
    sinks::{Changed, Recorded},
    source::{Match, Source},
    target::Target,
    tree::{Fingerprint, Sink, Walk, check_name},
    writer::Kind,
};
use crate::{
    digest::{Algorithm, Digest, HashingReader},
    view::{Node, View, open_regular},
};

/// Unpacks an archive, which has a name, into a sink.
type Unpack<'a, S> =
    &'a mut dyn FnMut(&mut S, &str, &mut (dyn io::Read + Send)) -> Result<(), StepError>;

/// A `COPY` or `ADD` whose variables are expanded.
pub(super) struct Copying<'a> {
    pub(super) sources: &'a [String],
    /// Absolute; it ends with a slash if it is a directory whatever is there.
    pub(super) destination: &'a str,
    pub(super) chown: Option<&'a str>,
    pub(super) chmod: Option<&'a str>,
    /// Whether archives are unpacked.
    pub(super) unpacks: bool,
}

/// A copy that was looked at and not made yet.
pub(super) struct Prepared<'a> {
    copying: &'a Copying<'a>,
    source: &'a Source<'a>,
    matches: Vec<Match>,
    owner: Option<(u32, u32)>,
    permissions: Option<Permissions>,
    destination: Destination,
}

struct Destination {
    names: Vec<OsString>,
    /// Whether files go into it.
    is_directory: bool,
}

impl<'a> Copying<'a> {
    /// Finds the files and the destination.
    pub(super) fn prepare(
        &'a self,
        source: &'a Source<'a>,
        root: &View,
    ) -> Result<Prepared<'a>, StepError> {
        let mut matches = Vec::new();
        for pattern in self.sources {
            matches.extend(source.find(pattern)?);
        }
        let destination = self.locate(root, matches.len())?;
        let owner = self.chown.map(|text| owner(text, root)).transpose()?;
        let permissions = self.chmod.map(Permissions::parse).transpose()?;
        Ok(Prepared { copying: self, source, matches, owner, permissions, destination })
    }

    fn locate(&self, root: &View, files: usize) -> Result<Destination, StepError> {
        let path = self.destination;
        let says_directory = path.ends_with('/') || path.ends_with("/.");
        if !says_directory && (self.sources.len() > 1 || files > 1) {
            return Err(StepError::Refused(format!(
                "several files are copied to {path:?}: end it with / to make it a directory"
            )));
        }
        let located = root.locate(OsStr::new(path)).map_err(file("look at", path))?;
        let is_directory = match located.node {
            Some(Node::Directory(..)) => true,
            Some(Node::Other(..)) if says_directory => {
                return Err(StepError::Refused(format!(
                    "{path:?} is not a directory in the image"
                )));
            }
            Some(Node::Other(..)) => false,
            None => says_directory || located.names.is_empty(),
        };
        Ok(Destination { names: located.names, is_directory })
    }
}

impl Prepared<'_> {
    /// A digest of all that is copied, for the cache.
    pub(super) fn fingerprint(&self) -> Result<Digest, StepError> {
        let mut sink = Fingerprint::new();
        self.go(&mut sink, &mut |sink, path, content| {
            sink.field(path.as_bytes());
            let mut hashing = HashingReader::new(Algorithm::Sha256, content);
            io::copy(&mut hashing, &mut io::sink()).map_err(file("read", path))?;
            sink.field(hashing.finish().to_string().as_bytes());
            Ok(())
        })?;
        Ok(sink.finish())
    }

    /// Writes it to a layer; returns the digest of what was copied.
    pub(super) fn write(&self, target: &mut Target<'_>) -> Result<Digest, StepError> {
        if let Some((uid, gid)) = self.owner {
            (target.parents.uid, target.parents.gid) = (uid, gid);
        }
        target.base.clone_from(&self.destination.names);
        if self.destination.is_directory {
            target.directories(&self.destination.names)?;
        }
        let mut sink = Recorded { fingerprint: Fingerprint::new(), target };
        let owner = self.owner;
        self.go(&mut sink, &mut |sink, path, content| {
            sink.fingerprint.field(path.as_bytes());
            let mut hashing = HashingReader::new(Algorithm::Sha256, content);
            sink.target.replaces = true;
            archive::unpack(&mut hashing, path, owner, sink.target)?;
            sink.target.replaces = false;
            io::copy(&mut hashing, &mut io::sink()).map_err(file("read", path))?;
            sink.fingerprint.field(hashing.finish().to_string().as_bytes());
            Ok(())
        })?;
        Ok(sink.fingerprint.finish())
    }

    /// Gives all files to `sink`, and archives to `unpack`.
    fn go<S: Sink>(&self, sink: &mut S, unpack: Unpack<'_, S>) -> Result<(), StepError> {
        let walk = Walk { ignore: self.source.ignore, is_context: self.source.is_context };
        for found in &self.matches {
            let path = found.path.as_str();
            match &found.node {
                Node::Directory(directory, stat) => {
                    // The content is copied; the directory itself is the destination.
                    if !self.destination.is_directory {
                        let attributes = walk.attributes(stat);
                        self.changed(sink).entry(&[], &attributes, Kind::Directory)?;
                    }
                    walk.directory(directory, path, &[], &mut self.changed(sink))?;
                }
                Node::Other(fd, stat) => {
                    if self.copying.unpacks && archive::is_archive(fd, stat, path)? {
                        let mut open = open_regular(fd, stat).map_err(file("open", path))?;
                        unpack(sink, path, &mut open)?;
                        continue;
                    }
                    let names: Vec<OsString> = match self.destination.is_directory {
                        true => found.name.iter().cloned().collect(),
                        false => Vec::new(),
                    };
                    let last: Vec<OsString> = match names.is_empty() {
                        true => self.destination.names.clone(),
                        false => names.clone(),
                    };
                    check_name(&last)?;
                    walk.single(&found.node, path, &names, &mut self.changed(sink))?;
                }
            }
        }
        Ok(())
    }

    fn changed<'s, S: Sink>(&'s self, sink: &'s mut S) -> Changed<'s, S> {
        Changed { owner: self.owner, permissions: self.permissions.as_ref(), sink }
    }
}
