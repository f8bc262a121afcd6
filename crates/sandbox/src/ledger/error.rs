//! Why the ledger or an entry is not available.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is an entry with that name.
    #[error(
        "the name {name:?} is in use: `isolab ps` shows by what, `isolab clean` frees the names of killed runs"
    )]
    NameInUse {
        /// The name.
        name: String,
    },
    /// An invalid name.
    #[error(
        "invalid name: {name:?}; use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// A file of the ledger could not be read or written.
    #[error("{action} {path:?}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Other users may write to the directory, and so make us remove what is not ours.
    #[error(
        "other users may write to the ledger's directory {path:?} (mode {mode:o}): inspect its content, then `chmod 700` it"
    )]
    OthersMayWrite {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The directory belongs to another user, who could make us remove what is not ours.
    #[error(
        "the ledger's directory {path:?} belongs to user {owner}: remove it, or set XDG_RUNTIME_DIR to a directory of your own"
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
}

impl LedgerError {
    /// Whether the caller's limit of file sizes (`RLIMIT_FSIZE`) is too low.
    pub fn is_too_large(&self) -> bool {
        let too_large = Some(nix::libc::EFBIG);
        matches!(self, Self::File { source, .. } if source.raw_os_error() == too_large)
    }
}

pub(super) fn file_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> LedgerError {
    move |source| LedgerError::File { action, path: path.to_owned(), source }
}
