//! Why a build fails, and where in the Dockerfile.

use std::{io, path::PathBuf, process::ExitStatus};

use crate::{
    dockerfile::{self, Position, ignore, pattern::Malformed, variables},
    layer::ChangesError,
    manifest::ManifestError,
    store::StoreError,
    unpacked::UnpackError,
};

/// Any error, of whoever runs commands or finds images.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Why a build fails.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Dockerfile is malformed, or has something that is not supported.
    #[error(transparent)]
    Dockerfile(#[from] dockerfile::Error),
    /// The context cannot be read.
    #[error("open the build's context {}", path.display())]
    Context {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The `.dockerignore` cannot be read.
    #[error("read {file} of the context")]
    Ignore {
        /// Its name.
        file: String,
        /// What is wrong.
        source: ignore::Error,
    },
    /// A step fails.
    #[error("{file}:{position}: {text}")]
    Step {
        /// The Dockerfile.
        file: String,
        /// Where the instruction begins.
        position: Position,
        /// The instruction, cut off if it is long.
        text: String,
        /// What fails.
        source: Box<StepError>,
    },
    /// The image cannot be stored.
    #[error("store the image")]
    Store(#[source] Box<StepError>),
    /// `SOURCE_DATE_EPOCH` is not a number of seconds.
    #[error("SOURCE_DATE_EPOCH={0:?} is not a number of seconds since 1970")]
    Epoch(String),
}

/// Why a step fails.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The command of `RUN` failed.
    #[error("the command failed: {0}; what it changed is discarded")]
    Failed(ExitStatus),
    /// The command of `RUN` could not be started.
    #[error("run the command")]
    Run(#[source] AnyError),
    /// An image is not there.
    #[error("get the image {name:?}")]
    Image {
        /// Its name.
        name: String,
        /// Why not.
        source: AnyError,
    },
    /// A variable.
    #[error("in {word:?}")]
    Variable {
        /// The word with the variable.
        word: String,
        /// What is wrong.
        source: variables::Problem,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A layer.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// What a command changed.
    #[error(transparent)]
    Changes(#[from] ChangesError),
    /// An `ONBUILD` trigger of the base image.
    #[error("the base image has a trigger that cannot be built")]
    Trigger(#[source] dockerfile::Error),
    /// A pattern of `COPY`.
    #[error(transparent)]
    Pattern(#[from] Malformed),
    /// A file cannot be read or written.
    #[error("{action} {path:?}")]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file, as the Dockerfile or the image names it.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// No file has the name.
    #[error("no file matches {pattern:?} in {place}{}", if *ignored {
        "; .dockerignore leaves it out"
    } else {
        ""
    })]
    NoSource {
        /// The source.
        pattern: String,
        /// The context, or what `--from` names.
        place: String,
        /// Whether it would be there without `.dockerignore`.
        ignored: bool,
    },
    /// Anything else that is wrong with the instruction.
    #[error("{0}")]
    Refused(String),
}

/// The error of a system call for a file.
pub(super) fn file(
    action: &'static str,
    path: &str,
) -> impl FnOnce(io::Error) -> StepError + use<> {
    let path = path.chars().take(300).collect();
    move |source| StepError::File { action, path, source }
}
