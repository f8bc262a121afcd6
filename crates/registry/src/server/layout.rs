//! Where in the data directory what is: paths made of names that the grammar has checked.
//!
//! ```text
//!   boot                                       since which boot the blobs are known to be whole
//!   blobs/sha256/9f86..                        bytes, named by their digest: blobs and manifests
//!   uploads/ID, ID.repository                  blobs that are still arriving, and for whom
//!   uploads/new-..                             small files that are about to get their name
//!   repositories/class/hello/
//!     _blobs/sha256-9f86..                     which blobs this repository has, each with its length
//!     _manifests/sha256-9f86..                 which manifests, each with its media type
//!     _tags/1                                  the digest of the manifest
//! ```
//!
//! The grammar of repositories has no `..`, no empty part, and none that begins with `_`.

use image::digest::Digest;

/// Which of a repository's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Blob,
    Manifest,
}

impl Link {
    /// The directory of these links in a repository.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::Blob => "_blobs",
            Self::Manifest => "_manifests",
        }
    }
}

/// The boot of the machine in which the blobs were last found whole.
pub(super) const BOOT: &str = "boot";
/// All repositories.
pub(super) const REPOSITORIES: &str = "repositories";
/// Uploads that are not finished.
pub(super) const UPLOADS: &str = "uploads";
/// The directory of a repository's tags.
pub(super) const TAGS: &str = "_tags";

/// The blobs of one algorithm.
pub(super) fn blobs(algorithm: &str) -> String {
    format!("blobs/{algorithm}")
}

/// The file of a blob, whoever has it.
pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// A part of a repository.
pub(super) fn part(repository: &str, part: &str) -> String {
    format!("{REPOSITORIES}/{repository}/{part}")
}

/// What says that a repository has a blob or a manifest.
pub(super) fn link(repository: &str, link: Link, digest: &Digest) -> String {
    let (kind, algorithm) = (link.directory(), digest.algorithm().name());
    format!("{REPOSITORIES}/{repository}/{kind}/{algorithm}-{}", digest.hex())
}

/// The digest that a link's name says.
pub(super) fn linked(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}

/// The file of a tag.
pub(super) fn tag(repository: &str, tag: &str) -> String {
    format!("{REPOSITORIES}/{repository}/{TAGS}/{tag}")
}

/// The bytes of an upload.
pub(super) fn upload(id: &str) -> String {
    format!("{UPLOADS}/{id}")
}

/// The name of the repository that an upload is for.
pub(super) fn upload_repository(id: &str) -> String {
    format!("{UPLOADS}/{id}{REPOSITORY_SUFFIX}")
}

/// How [`upload_repository`] ends.
pub(super) const REPOSITORY_SUFFIX: &str = ".repository";
/// How the names of small files begin that were not renamed yet.
pub(super) const NEW_PREFIX: &str = "new-";
