//! Why a demonstration cannot be shown.

use std::{io, path::PathBuf};

/// The result of a step.
pub type Result<T> = std::result::Result<T, Error>;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be started or waited for.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// A system call failed.
    #[error("{step}")]
    System {
        /// What was tried.
        step: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A recording cannot be read or written.
    #[error("{action} the recording {path:?}")]
    Recording {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path:?} is not a recording of `isolab demo`, or is of another version: {what}")]
    NoRecording {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// The error in one line: with its causes, and how to solve it where that is known.
    pub(crate) fn message(&self) -> String {
        let fix = match self {
            Self::Sandbox(error) => error.fix(),
            _ => None,
        };
        sandbox::chain_with_help(self, fix)
    }

    pub(crate) fn system(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self::System { step, source }
    }
}
