//! Why a supervisor failed.

use std::io;

use sandbox::LedgerError;

/// A failed step of a supervisor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A system call.
    #[error("{action}")]
    Call {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// The error of a failed `action`.
pub(crate) fn at<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Call { action, source: error.into() }
}
