//! Builds an image by a Dockerfile.
//!
//! ```text
//!   FROM base      the base's config and layers
//!   ENV A=1        a change of the config
//!   COPY a /b      a layer, written from the context: nothing is mounted
//!   RUN make       a layer: what the command changed, in an overlay over the layers so far
//! ```
//!
//! Each step has an entry in the image's history, and a record in the cache. Commands are run by
//! whoever implements [`Run`], images are found by whoever implements [`Images`]; this crate knows
//! neither containers nor registries.
//!
//! | File | |
//! |---|---|
//! | `session` | the stages in their order, and the image at the end |
//! | `steps`, `setting`, `settings` | what each instruction does |
//! | `copy`, `source`, `tree`, `sinks`, `owner` | which files `COPY` copies, and whose they are |
//! | `target`, `archive`, `writer` | layers: of `COPY`, and of `ADD`'s archives; `RUN`'s are [`layer::changes`](crate::layer::changes) |
//! | `cache`, `scratch`, `clock` | what is kept, what is removed, and when it was |

mod archive;
pub mod cache;
mod clock;
mod copy;
mod error;
mod owner;
pub(crate) mod scratch;
mod session;
mod setting;
mod settings;
mod sinks;
mod source;
mod state;
mod steps;
mod target;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
};

use oci_spec::image::Descriptor;

pub use self::{
    error::{AnyError, BuildError, StepError},
    scratch::Scratch,
    setting::apply_changes,
};
use crate::{
    digest::Digest,
    dockerfile::{Position, scope::Given},
    manifest::Platform,
    reference::Reference,
    store::{Image, Store},
};

/// What is built.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The Dockerfile, as messages name it.
    pub file: String,
    /// Its text.
    pub dockerfile: Vec<u8>,
    /// The directory with the files that it copies, if there is one.
    pub context: Option<PathBuf>,
    /// The stage to build, or the last.
    pub target: Option<String>,
    /// `--build-arg`.
    pub arguments: Given,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// Whether every step is made anew.
    pub no_cache: bool,
    /// `SOURCE_DATE_EPOCH` of the environment; an argument of that name counts first.
    pub source_date_epoch: Option<String>,
}

/// A built image.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Its manifest. It is in the store without a name: who does not name it or keep it lets the next
    /// garbage collection take it.
    pub descriptor: Descriptor,
    /// The digest of its config, which docker calls its id.
    pub id: Digest,
}

/// A command to run in a container.
#[derive(Debug)]
pub struct RunStep<'a> {
    /// Its root's layers as directories, the uppermost first.
    pub layers: &'a [PathBuf],
    /// A directory with `upper` and `work`, for an overlay over them: what is in `upper` afterwards
    /// is the new layer.
    pub kept: &'a Path,
    /// The program and its arguments.
    pub arguments: &'a [String],
    /// Names and values.
    pub environment: &'a [(String, String)],
    /// The working directory.
    pub directory: &'a str,
    /// User, and group after a colon, of the root's own files; empty for root.
    pub user: &'a str,
}

/// Runs commands. Where their output goes is the implementation's to know.
pub trait Run {
    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    fn run(&self, step: &RunStep<'_>) -> Result<ExitStatus, AnyError>;
}

/// Finds images that `FROM` and `COPY --from` name.
pub trait Images {
    /// The image with that name, all of its blobs in the store.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn image(&self, name: &str) -> Result<Image, AnyError>;
}

/// The images of the store alone.
impl Images for Store {
    fn image(&self, name: &str) -> Result<Image, AnyError> {
        let reference: Reference = name.parse()?;
        Ok(Self::image(self, &reference, &Platform::host())?)
    }
}

/// What happens in a build.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A step begins.
    Step {
        /// Counted from one.
        number: usize,
        /// Of so many.
        total: usize,
        /// The stage's name or number.
        stage: &'a str,
        /// The instruction.
        text: &'a str,
        /// Where it is.
        position: Position,
    },
    /// The base image has instructions for this build.
    Triggers(usize),
    /// The step's result is from the cache.
    Cached,
    /// The step made a layer.
    Layer {
        /// The digest of its compressed archive.
        digest: &'a Digest,
        /// The size of that.
        bytes: u64,
    },
    /// A step is done.
    Done {
        /// The id that an image of the stage's steps so far has; `None` if there is nothing in it.
        id: Option<&'a Digest>,
    },
    /// Something that may not be meant.
    Warning(&'a str),
}

/// Builds images into a store.
pub struct Builder<'a> {
    /// Where layers and images are kept.
    pub store: &'a Store,
    /// Who runs commands.
    pub run: &'a dyn Run,
    /// Who finds images.
    pub images: &'a dyn Images,
    /// Who is told what happens.
    pub events: &'a dyn Fn(Event<'_>),
}

impl Builder<'_> {
    /// Builds an image.
    ///
    /// # Errors
    ///
    /// When the Dockerfile is malformed, or a step fails. The steps before are in the cache.
    pub fn build(&self, request: &Request) -> Result<Built, BuildError> {
        session::Session::new(self, request)?.build()
    }
}
