//! What can go wrong in the store.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{digest::Digest, manifest::ManifestError};

/// An operation on the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing says where images are kept.
    #[error(
        "no directory for images: neither XDG_DATA_HOME nor HOME is set\nset ISOLAB_IMAGES to a directory"
    )]
    NoDirectory,
    /// The directory has files, but not those of a store.
    #[error("{} is not empty and not an image store\nchoose another directory with ISOLAB_IMAGES", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// No image has this name.
    #[error(
        "no such image: {name}\n`isolab image list` shows the images there are; `isolab image pull {name}` fetches one"
    )]
    NoImage {
        /// The name.
        name: String,
    },
    /// The beginning of an id is that of several images.
    #[error("{text} is the beginning of {count} ids\nwrite more digits")]
    Ambiguous {
        /// What was written.
        text: String,
        /// How many images it could mean.
        count: usize,
    },
    /// A blob that something points to is not there.
    #[error("the {what} {digest} is missing from the store\npull or build the image again")]
    NoBlob {
        /// What it is.
        what: &'static str,
        /// Its digest.
        digest: Digest,
    },
    /// A blob is not what its name says.
    #[error("the content is not {digest}: it is {found}")]
    WrongDigest {
        /// The digest it should have.
        digest: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// A blob is longer or shorter than said.
    #[error("{digest} should have {expected} bytes and has {found}")]
    WrongSize {
        /// Its digest.
        digest: Digest,
        /// What its descriptor says.
        expected: u64,
        /// How many there are; more may have followed.
        found: u64,
    },
    /// A manifest, an index or a config is invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// An index in an index in an index.
    #[error("more than {most} indexes lead to each other")]
    TooManyIndexes {
        /// How many are followed.
        most: usize,
    },
    /// The list of names is damaged.
    #[error("the index of the store {} is damaged\nmove it away, then pull or build the images again", path.display())]
    Index {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file of the store cannot be used.
    #[error("{action} {}{}", path.display(), room(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// The error of doing `action` with `path`.
pub(crate) fn io(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

/// The way out of a full disk.
fn room(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": the disk is full; `isolab image prune --all` removes images that nothing uses, and ISOLAB_IMAGES names another directory"
        }
        _ => "",
    }
}
