//! Why one measurement gave no number.

use std::{io, process::ExitStatus};

use sandbox::chain;

/// Why one measurement gave no number, as the report shows it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Error {
    /// What failed, with its causes.
    pub reason: String,
    /// What to do about it; empty if that is unknown.
    pub fix: String,
}

impl Error {
    /// An error for which no remedy is known.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: String::new() }
    }

    /// That `command` failed and wrote `errors` to standard error.
    pub(crate) fn of_command(command: &str, status: ExitStatus, errors: &[u8]) -> Self {
        let errors = String::from_utf8_lossy(errors);
        let errors = errors.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::new(format!("{command} ended with {status}: {errors}"))
    }
}

impl From<&sandbox::Error> for Error {
    fn from(error: &sandbox::Error) -> Self {
        Self { reason: chain(error), fix: error.fix().unwrap_or_default().to_owned() }
    }
}

impl From<sandbox::Error> for Error {
    fn from(error: sandbox::Error) -> Self {
        Self::from(&error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(chain(&error))
    }
}
