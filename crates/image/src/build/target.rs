//! The layer that `COPY`, `ADD` and `WORKDIR` make, over the layers that are there.
//!
//! ```text
//!   image             COPY a /bin/tools/     layer
//!   bin -> usr/bin                           usr/           as it is in the image
//!   usr/bin/                                 usr/bin/       as it is in the image
//!                                            usr/bin/tools/ new
//!                                            usr/bin/tools/a
//! ```
//!
//! An entry below a link would replace the link when the layer is unpacked, so the links of the
//! image, and those that the layer itself has so far, are followed here.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt as _,
};

use super::{
    error::{StepError, file},
    tree::{self, Sink, display},
    writer::{Kind, LayerWriter, joined},
};
use crate::{
    layer::Attributes,
    view::{Directory, Node, View},
};

const MOST_LINKS: usize = 40;
const MOST_NAMES: usize = 4096;

/// More than any image has.
const MOST_ENTRIES: usize = 4_000_000;

/// A layer that is being made.
pub(super) struct Target<'a> {
    view: &'a View,
    writer: LayerWriter<'a>,
    made: HashMap<Vec<u8>, Made>,
    /// For directories that have to be made.
    pub(super) parents: Attributes,
    /// Where what is copied goes.
    pub(super) base: Vec<OsString>,
    /// Whether what stands in the way is replaced, as by an archive.
    pub(super) replaces: bool,
}

/// What this layer has at a name.
enum Made {
    Directory,
    Link(OsString),
    Other,
}

/// What is at a name, in this layer or below.
enum Found {
    Nothing,
    Directory,
    Link(OsString),
    Other,
}

impl<'a> Target<'a> {
    pub(super) fn new(view: &'a View, writer: LayerWriter<'a>, parents: Attributes) -> Self {
        Self { view, writer, made: HashMap::new(), parents, base: Vec::new(), replaces: false }
    }

    pub(super) fn finish(self) -> io::Result<crate::digest::Digest> {
        self.writer.finish()
    }

    /// The names of a path from the root with every link followed but the last, if it is one.
    fn physical(&self, path: &[OsString]) -> Result<Vec<OsString>, StepError> {
        let mut left: Vec<OsString> = path.iter().rev().cloned().collect();
        let mut names: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some(name) = left.pop() {
            match name.as_bytes() {
                b"" | b"." => continue,
                b".." => {
                    names.pop();
                    continue;
                }
                _ => names.push(name),
            }
            if left.is_empty() {
                break;
            }
            match self.found(&names)? {
                Found::Nothing | Found::Directory => {}
                Found::Other => {
                    let text = format!("{:?} is not a directory", display(&names));
                    return Err(StepError::Refused(text));
                }
                Found::Link(text) => {
                    links += 1;
                    if links > MOST_LINKS || left.len() > MOST_NAMES {
                        let text = format!("too many symbolic links at {:?}", display(&names));
                        return Err(StepError::Refused(text));
                    }
                    names.pop();
                    if text.as_bytes().starts_with(b"/") {
                        names.clear();
                    }
                    let parts = text.as_bytes().rsplit(|byte| *byte == b'/');
                    left.extend(parts.map(|part| OsStr::from_bytes(part).to_owned()));
                }
            }
        }
        Ok(names)
    }

    fn found(&self, names: &[OsString]) -> Result<Found, StepError> {
        match self.made.get(&joined(names)) {
            Some(Made::Directory) => return Ok(Found::Directory),
            Some(Made::Link(text)) => return Ok(Found::Link(text.clone())),
            Some(Made::Other) => return Ok(Found::Other),
            None => {}
        }
        Ok(match self.below(names)? {
            None => Found::Nothing,
            Some(Node::Directory(..)) => Found::Directory,
            Some(Node::Other(found, stat)) => match crate::view::kind(&stat) {
                nix::sys::stat::SFlag::S_IFLNK => {
                    let path = display(names);
                    Found::Link(
                        crate::view::link_text(&found).map_err(file("read the link", &path))?,
                    )
                }
                _ => Found::Other,
            },
        })
    }

    /// What the layers below have at these names, none of which is a link but perhaps the last.
    fn below(&self, names: &[OsString]) -> Result<Option<Node>, StepError> {
        let failed = |errno: nix::errno::Errno| file("look at", &display(names))(errno.into());
        let mut inner: Option<Directory> = None;
        for (depth, name) in names.iter().enumerate() {
            let directory = inner.as_ref().unwrap_or_else(|| self.view.root());
            match directory.look_up(name).map_err(failed)? {
                found if depth + 1 == names.len() => return Ok(found),
                Some(Node::Directory(next, _)) => inner = Some(next),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Makes sure that the layer has these directories, as they are below or new ones.
    pub(super) fn directories(&mut self, names: &[OsString]) -> Result<(), StepError> {
        for depth in 1..=names.len() {
            let part = &names[..depth];
            if matches!(self.made.get(&joined(part)), Some(Made::Directory)) {
                continue;
            }
            let attributes = match self.below(part)? {
                Some(Node::Directory(_, stat)) => tree::attributes(&stat),
                None => self.parents.clone(),
                Some(_) => {
                    return Err(StepError::Refused(format!(
                        "{:?} is not a directory",
                        display(part)
                    )));
                }
            };
            self.write(part, &attributes, Kind::Directory, Made::Directory)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
        made: Made,
    ) -> Result<(), StepError> {
        if self.made.len() >= MOST_ENTRIES {
            return Err(StepError::Refused(format!("more than {MOST_ENTRIES} files")));
        }
        let path = display(names);
        self.writer.entry(names, attributes, kind).map_err(file("write to the layer", &path))?;
        self.made.insert(joined(names), made);
        Ok(())
    }

    /// Refuses to put a directory over a file, or the reverse.
    fn check(&self, names: &[OsString], is_directory: bool) -> Result<(), StepError> {
        let path = display(names);
        match (self.found(names)?, is_directory) {
            _ if self.replaces => Ok(()),
            (Found::Directory, false) => Err(StepError::Refused(format!(
                "{path:?} is a directory; a file cannot replace it"
            ))),
            (Found::Other | Found::Link(_), true) => Err(StepError::Refused(format!(
                "{path:?} is not a directory; a directory cannot replace it"
            ))),
            _ => Ok(()),
        }
    }
}

impl Sink for Target<'_> {
    /// An entry at `names` below the destination.
    fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> Result<(), StepError> {
        let whole: Vec<OsString> = self.base.iter().chain(names).cloned().collect();
        let names = self.physical(&whole)?;
        let Some((_, parents)) = names.split_last() else { return Ok(()) };
        self.directories(parents)?;
        self.check(&names, matches!(kind, Kind::Directory))?;
        match kind {
            Kind::Directory => self.write(&names, attributes, kind, Made::Directory),
            Kind::Link(text) => {
                let made = Made::Link(text.to_owned());
                self.write(&names, attributes, kind, made)
            }
            Kind::HardLink(target) => {
                let whole: Vec<OsString> = self.base.iter().chain(target).cloned().collect();
                let target = self.physical(&whole)?;
                self.write(&names, attributes, Kind::HardLink(&target), Made::Other)
            }
            kind => self.write(&names, attributes, kind, Made::Other),
        }
    }
}
