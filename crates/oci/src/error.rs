//! What can go wrong, in words that an engine passes on to its user.

use std::{io, path::PathBuf};

use thiserror::Error;

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An id that could lead out of the directory of states, or that names no cgroup.
    #[error(
        "invalid container id {id:?}: 1 to 1024 letters, digits and `_+-.`, and not `.` or `..`"
    )]
    Id {
        /// The id.
        id: String,
    },
    /// Another container has the id.
    #[error("container with id exists: {id}")]
    Exists {
        /// The id.
        id: String,
    },
    /// There is no such container. Engines look for these words.
    #[error("container {id:?} does not exist")]
    Unknown {
        /// The id.
        id: String,
    },
    /// It is not in a state for this.
    #[error("cannot {what} container {id:?}: it is {status}{}", way_out(.fix))]
    Status {
        /// What was to be done.
        what: &'static str,
        /// The id.
        id: String,
        /// Its status.
        status: &'static str,
        /// How it can be done.
        fix: &'static str,
    },
    /// A word that names no signal.
    #[error("unknown signal {word:?}: use a number from 1 to 64, or a name such as TERM")]
    Signal {
        /// The word.
        word: String,
    },
    /// It has ended. Engines look for these words.
    #[error("container not running")]
    NotRunning,
    /// A file that is not what it should be.
    #[error("{path:?} is not valid: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where they are known.
        why: String,
    },
    /// A property of config.json, or an option, that cannot be had.
    #[error("{}{property}: {why}", file_of(.property))]
    Property {
        /// Its path: `linux.namespaces[2].path`.
        property: String,
        /// What is wrong with it.
        why: String,
    },
    /// A call on a file or directory.
    #[error("{call} {path:?}: {source}")]
    File {
        /// What was tried.
        call: &'static str,
        /// Its object.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// No microVM can run on this host.
    #[error("this host cannot run the bundle as a microVM: {why}")]
    NoMachine {
        /// What is missing, and the way out.
        why: String,
    },
    /// systemd does not do what it is asked for.
    #[error("systemd: {method}: {name}: {why}")]
    Systemd {
        /// What was asked for (org.freedesktop.systemd1(5)).
        method: String,
        /// The name of the error.
        name: String,
        /// Its text.
        why: String,
    },
    /// Something that this runtime does not do.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// There is no such program. Engines know it by these words, and end with 127.
    #[error("exec {program:?}: executable file not found in the container: {fix}")]
    NotFound {
        /// The first word of the command.
        program: PathBuf,
        /// What to do.
        fix: String,
    },
    /// The container could not be made, changed or removed.
    #[error("{}{}", sandbox::chain(.0), way_out(.0.fix().unwrap_or_default()))]
    Container(sandbox::Error),
}

impl From<sandbox::Error> for Error {
    fn from(error: sandbox::Error) -> Self {
        match error {
            sandbox::Error::NotFound { program, fix, .. } => Self::NotFound { program, fix },
            other => Self::Container(other),
        }
    }
}

impl From<container::Error> for Error {
    fn from(error: container::Error) -> Self {
        Self::Container(error.into())
    }
}

/// An option is in no file.
fn file_of(property: &str) -> &'static str {
    if property.starts_with("--") { "" } else { "config.json: " }
}

fn way_out(fix: &str) -> String {
    if fix.is_empty() { String::new() } else { format!("; {fix}") }
}

/// An error of the property with that path.
pub(crate) fn property(property: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Property { property: property.into(), why: why.into() }
}

/// For `map_err`: a failed call on a path.
pub(crate) fn file(
    call: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { call, path: path.into(), source }
}
