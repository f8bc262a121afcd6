//! The context of a build: the client's archive as a directory, as long as the build runs.

use std::{error::Error as _, ffi::OsStr, io::Read, path::PathBuf};

use container::transfer::{self, CopyPath};
use image::{
    build::Scratch,
    store::Store,
    view::{Node, View},
};

use crate::images::{
    archive::unpacked,
    error::{ImageError, Result, chain},
};

/// A Dockerfile is a page or two.
const MAX_DOCKERFILE: u64 = 1 << 20;

const USUAL: &str = "Dockerfile";

/// A directory with the files of a context, which is removed with it.
pub(super) struct Context(Scratch);

impl Context {
    /// Unpacks an archive, which may be compressed. No name of it leads out of the
    /// directory, and the files belong to the engine.
    pub(super) fn unpack(store: &Store, input: impl Read + Send) -> Result<Self> {
        let scratch = Scratch::new(store).map_err(|error| ImageError::failed(&error))?;
        let decoder = unpacked(input)?;
        let invalid = |why: &str| ImageError::Invalid(format!("invalid build context: {why}"));
        // What is skipped are devices, which no COPY takes.
        transfer::unpack(decoder, &CopyPath::Host(scratch.upper())).map_err(|error| {
            // Without the words that a container has failed: there is none.
            invalid(&error.source().map_or_else(|| error.to_string(), chain))
        })?;
        Ok(Self(scratch))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.upper()
    }

    /// The name and the text of the Dockerfile.
    pub(super) fn dockerfile(&self, name: &str) -> Result<(String, Vec<u8>)> {
        let view = View::of(&[self.path()]).map_err(ImageError::io("open the build's context"))?;
        let is_there = |name: &str| {
            let located = view.locate(OsStr::new(name));
            matches!(located, Ok(located) if matches!(located.node, Some(Node::Other(..))))
        };
        let name = match name {
            "" if !is_there(USUAL) && is_there("dockerfile") => "dockerfile",
            "" => USUAL,
            name => name,
        };
        if !is_there(name) {
            let name: String = name.chars().take(300).collect();
            let text = format!("Cannot locate specified Dockerfile: {name}");
            return Err(ImageError::Invalid(text));
        }
        let text = view.read_small(name, MAX_DOCKERFILE);
        let text = text.map_err(|error| ImageError::Invalid(format!("{name}: {error}")))?;
        match text.is_empty() {
            true => Err(ImageError::Invalid(format!("the Dockerfile ({name}) cannot be empty"))),
            false => Ok((name.to_owned(), text)),
        }
    }
}
