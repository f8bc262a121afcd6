//! Why a registry cannot be served.

use std::{
    io,
    path::{Path, PathBuf},
};

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
    /// The data directory has a server already.
    #[error("another server uses {}: stop that one, or choose another directory", data.display())]
    InUse {
        /// The directory.
        data: PathBuf,
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

impl ServeError {
    /// Why the data directory cannot be used.
    pub(super) fn of_data(data: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::WouldBlock => Self::InUse { data: data.into() },
            _ => Self::Io { action: "open", object: data.display().to_string(), source },
        }
    }
}
