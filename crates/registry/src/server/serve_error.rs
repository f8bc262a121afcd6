//! Why a registry cannot be served.

use std::{io, path::PathBuf};

use super::auth::UsersError;

/// A server that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something on this host cannot be used.
    #[error("{action} {object}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        object: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The file of users is not one.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The certificate or the key is not one.
    #[error("{}: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
