//! Walks the files that `COPY` copies, of the context or of another root, in a fixed order.
//!
//! They are walked twice: for the cache's key, and into the layer. A file that changes meanwhile is
//! an error, not a layer that is neither the old nor the new one.

use std::{
    collections::btree_map,
    ffi::{OsStr, OsString},
    io::{self, Read as _, Seek as _},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
};

use nix::sys::stat::{FileStat, SFlag, fstat, major, minor};

use super::{
    error::{StepError, file},
    writer::Kind,
};
use crate::{
    digest::{Algorithm, Digest, Digester},
    dockerfile::ignore::Ignore,
    layer::{self, Attributes, WHITEOUT, xattrs},
    view::{Directory, Node, kind, link_text, open_regular},
};

/// Deeper than any honest tree.
const MOST_DEPTH: usize = 512;

/// Who is given the files.
pub(super) trait Sink {
    /// A file at `names` below the destination.
    fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> Result<(), StepError>;
}

/// How files are copied.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    /// What of the context is left out.
    pub(super) ignore: Option<&'a Ignore>,
    /// Whether they are a user's files of the host, whose owner is not one of the image.
    pub(super) is_context: bool,
}

struct Parents(Vec<(Vec<OsString>, Attributes)>);

/// A directory of which some entries are still to come.
struct Level {
    entries: btree_map::IntoIter<OsString, Node>,
    path: String,
    names: Vec<OsString>,
    /// How many directories waited for something in them when this one was reached, itself included.
    waiting: usize,
}

impl Level {
    fn of(
        directory: &Directory,
        path: String,
        names: Vec<OsString>,
        waiting: usize,
    ) -> Result<Self, StepError> {
        if names.len() > MOST_DEPTH {
            return Err(StepError::Refused(format!(
                "more than {MOST_DEPTH} directories in each other"
            )));
        }
        let entries = directory.entries().map_err(file("read the directory", &path))?;
        Ok(Self { entries: entries.into_iter(), path, names, waiting })
    }
}

impl Walk<'_> {
    /// All that is in a directory, which is `path` in its tree, below `names`.
    pub(super) fn directory(
        &self,
        directory: &Directory,
        path: &str,
        names: &[OsString],
        sink: &mut dyn Sink,
    ) -> Result<(), StepError> {
        let mut parents = Parents(Vec::new());
        // Without recursion: how deep directories are is the choice of whoever sent them.
        let mut levels = vec![Level::of(directory, path.to_owned(), names.to_vec(), 0)?];
        while let Some(level) = levels.last_mut() {
            let Some((name, node)) = level.entries.next() else {
                let waiting = level.waiting;
                levels.pop();
                // It is still waiting if nothing in it was copied.
                if waiting > 0 && parents.0.len() == waiting {
                    parents.0.pop();
                }
                continue;
            };
            let below = match &*level.path {
                "" => name.to_string_lossy().into_owned(),
                path => format!("{path}/{}", name.to_string_lossy()),
            };
            let ignored = self.ignore.is_some_and(|ignore| ignore.ignores(&below));
            let names: Vec<OsString> = level.names.iter().cloned().chain([name]).collect();
            match node {
                Node::Directory(_, _)
                    if self.ignore.is_some_and(|ignore| ignore.ignores_all_below(&below)) => {}
                Node::Directory(inner, stat) => {
                    parents.0.push((names.clone(), self.attributes(&stat)));
                    if !ignored {
                        parents.come(sink)?;
                    }
                    levels.push(Level::of(&inner, below, names, parents.0.len())?);
                }
                _ if ignored => {}
                node => {
                    parents.come(sink)?;
                    self.single(&node, &below, &names, sink)?;
                }
            }
        }
        Ok(())
    }

    /// One file that is not a directory.
    pub(super) fn single(
        &self,
        node: &Node,
        path: &str,
        names: &[OsString],
        sink: &mut dyn Sink,
    ) -> Result<(), StepError> {
        let Node::Other(found, stat) = node else {
            return Err(StepError::Refused(format!("{path:?} is a directory")));
        };
        check_name(names)?;
        let mut attributes = self.attributes(stat);
        match kind(stat) {
            SFlag::S_IFREG => {
                let mut open = open_regular(found, stat).map_err(file("open", path))?;
                let own = xattrs(&open).map_err(file("read the extended attributes of", path))?;
                // An overlay's marks are for the kernel: no file is without its content here.
                attributes.xattrs = own.unwrap_or_default();
                // Other attributes of the host, such as access lists, name the host's users.
                let of_anybody =
                    |name: &str| name == "security.capability" || name.starts_with("user.");
                attributes.xattrs.retain(|(name, _)| !self.is_context || of_anybody(name));
                let size = stat.st_size.unsigned_abs();
                let mut content = Whole { inner: (&mut open).take(size), left: size };
                sink.entry(names, &attributes, Kind::File { size, content: &mut content })?;
                let left = content.left;
                let now =
                    fstat(found.as_fd()).map_err(io::Error::from).map_err(file("look at", path))?;
                let more = open.stream_position().is_ok_and(|end| end != size);
                if left > 0 || more || version(stat) != version(&now) {
                    return Err(StepError::Refused(format!(
                        "{path:?} changed while it was copied"
                    )));
                }
                Ok(())
            }
            SFlag::S_IFLNK => {
                let text = link_text(found).map_err(file("read the link", path))?;
                attributes.mode = 0o777;
                sink.entry(names, &attributes, Kind::Link(&text))
            }
            _ if self.is_context => Err(StepError::Refused(format!(
                "{path:?} is a socket, a pipe or a device: list it in .dockerignore"
            ))),
            SFlag::S_IFSOCK => Ok(()), // as in Docker: nobody listens at it any more
            other => {
                let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
                let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                let (major, minor) = (number(major), number(minor));
                let kind = Kind::Node(match other {
                    SFlag::S_IFCHR => layer::Node::Character(major, minor),
                    SFlag::S_IFBLK => layer::Node::Block(major, minor),
                    _ => layer::Node::Fifo,
                });
                sink.entry(names, &attributes, kind)
            }
        }
    }

    pub(super) fn attributes(&self, stat: &FileStat) -> Attributes {
        let (uid, gid) = if self.is_context { (0, 0) } else { (stat.st_uid, stat.st_gid) };
        Attributes { uid, gid, ..attributes(stat) }
    }
}

impl Parents {
    /// Gives the sink the directories that were waiting for something in them.
    fn come(&mut self, sink: &mut dyn Sink) -> Result<(), StepError> {
        for (names, attributes) in self.0.drain(..) {
            check_name(&names)?;
            sink.entry(&names, &attributes, Kind::Directory)?;
        }
        Ok(())
    }
}

/// In a layer, a file with such a name would delete another one.
pub(super) fn check_name(names: &[OsString]) -> Result<(), StepError> {
    let last = names.last().map(|name| name.as_bytes()).unwrap_or_default();
    match last.starts_with(WHITEOUT) {
        true => Err(StepError::Refused(format!(
            "{:?}: in an image, a name that begins with .wh. means that a file is deleted; rename it",
            String::from_utf8_lossy(last)
        ))),
        false => Ok(()),
    }
}

pub(super) fn attributes(stat: &FileStat) -> Attributes {
    Attributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        // As in Docker, COPY keeps the seconds.
        mtime: (stat.st_mtime.max(0), 0),
        xattrs: Vec::new(),
    }
}

/// What changes when somebody writes to a file.
fn version(stat: &FileStat) -> [i64; 5] {
    [stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec]
}

/// Exactly as many bytes as the header says; a file that became shorter is an error.
struct Whole<R> {
    inner: R,
    left: u64,
}

impl<R: io::Read> io::Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(length as u64);
        if length == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("it became shorter while it was copied"));
        }
        Ok(length)
    }
}

/// A digest of names, contents and metadata, but not of times.
pub(super) struct Fingerprint(Digester);

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(Digester::new(Algorithm::Sha256))
    }

    pub(super) fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Digest {
        self.0.finish()
    }

    pub(super) fn header(&mut self, names: &[OsString], attributes: &Attributes, kind: u8) {
        self.field(&super::writer::joined(names));
        let Attributes { mode, uid, gid, mtime: _, xattrs } = attributes;
        self.field(format!("{kind} {mode} {uid} {gid} {xattrs:?}").as_bytes());
    }

    /// An entry, but for the content of a file.
    pub(super) fn without_content(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: &Kind<'_>,
    ) {
        match kind {
            Kind::Directory => self.header(names, attributes, b'd'),
            Kind::File { .. } => self.header(names, attributes, b'f'),
            Kind::Link(text) => {
                self.header(names, attributes, b'l');
                self.field(text.as_bytes());
            }
            Kind::HardLink(target) => {
                self.header(names, attributes, b'h');
                self.field(&super::writer::joined(target));
            }
            Kind::Node(node) => {
                self.header(names, attributes, b'n');
                self.field(format!("{node:?}").as_bytes());
            }
        }
    }
}

impl Sink for Fingerprint {
    fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> Result<(), StepError> {
        self.without_content(names, attributes, &kind);
        if let Kind::File { size, content } = kind {
            let path = display(names);
            let mut inner = Digester::new(Algorithm::Sha256);
            io::copy(content, &mut inner).map_err(file("read", &path))?;
            self.field(format!("{size} {}", inner.finish()).as_bytes());
        }
        Ok(())
    }
}

/// A path for messages.
pub(super) fn display(names: &[OsString]) -> String {
    let names: Vec<_> = names.iter().map(|name: &OsString| OsStr::to_string_lossy(name)).collect();
    format!("/{}", names.join("/"))
}
