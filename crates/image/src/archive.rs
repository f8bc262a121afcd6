//! Images as archives and directories that others read and write: `docker save`, podman, skopeo's
//! `docker-archive:`, `oci-archive:` and `oci:`.
//!
//! ```text
//!   oci-layout, index.json, blobs/sha256/..     an OCI image layout
//!   manifest.json                               beside it, for docker load: config, names, layers
//! ```
//!
//! An archive is hostile: no entry is written under its own name. Each is streamed into the store,
//! which names it by its digest, and only then it is looked up what the archive's own index says of
//! it.

mod entries;
mod layout;
mod load;
mod loaded;
mod save;
#[cfg(test)]
mod tests;

use std::io;

pub use layout::load_directory;
pub use load::load;
pub use loaded::Loaded;
pub use save::{Format, save, save_directory};

use crate::{manifest::ManifestError, reference::Reference, store::StoreError};

/// An archive that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store cannot be used, or a blob is not what it should be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A manifest or an index is invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The archive cannot be read.
    #[error("read the archive")]
    Read(#[source] io::Error),
    /// The archive cannot be written.
    #[error("write the archive")]
    Write(#[source] io::Error),
    /// It is an archive, but not of images.
    #[error(
        "the archive has neither manifest.json nor index.json: it is not of images\n`isolab image import` makes an image of a root file system's archive"
    )]
    NoImages,
    /// What its index names is not in it.
    #[error("the archive's index names {name:?}, which is not in it")]
    Missing {
        /// The path or the digest.
        name: String,
    },
    /// It contradicts itself, or has too much of something.
    #[error("invalid archive: {why}")]
    Invalid {
        /// What is wrong with it.
        why: String,
    },
}

type Result<T> = std::result::Result<T, ArchiveError>;

/// The annotation by which containerd and docker name an image in an archive.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The name in an archive, if it is one by which an image can be found: not a tag alone.
fn name_of(text: &str) -> Option<Reference> {
    text.contains(['/', ':']).then(|| text.parse().ok()).flatten()
}

/// The error of a document that is not JSON, or not of its form.
fn not_json(what: &'static str) -> impl FnOnce(serde_json::Error) -> ArchiveError {
    move |source| ManifestError::Json { what, source }.into()
}
