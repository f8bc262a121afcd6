//! All images of the store, each once: by its id, with all its names.
//!
//! ```text
//!   index of the store:  a:1 ──> manifest ──> config, whose digest is the id
//!                        a:2 ──> manifest ──┘
//!                        b:1 ──> index ──> manifest ──> another config
//! ```

use std::collections::BTreeMap;

use image::{
    digest::Digest,
    manifest::{Document, Platform, digest_of},
    reference::Reference,
    store::{Image, Store, StoreError},
};
use oci_spec::image::Descriptor;

use super::error::Result;

/// An image, found by its id.
#[derive(Debug, Clone)]
pub struct StoredImage {
    /// The digest of its config.
    pub id: Digest,
    /// Its manifest and its config.
    pub image: Image,
    /// The manifests and indexes in the store's index that lead to it.
    pub tops: Vec<Descriptor>,
    /// Its names, each with what it names; sorted.
    pub references: Vec<(Reference, Descriptor)>,
}

impl StoredImage {
    /// `busybox:latest`: its names that have a tag, as people write them.
    pub fn repo_tags(&self) -> Vec<String> {
        let tagged = self.references.iter().filter(|(name, _)| name.digest().is_none());
        tagged.map(|(name, _)| name.familiar()).collect()
    }

    /// `busybox@sha256:..`: each repository with the digest of the manifest that a registry has, or
    /// would have.
    pub fn repo_digests(&self) -> Vec<String> {
        let mut digests: Vec<String> = self
            .references
            .iter()
            .map(|(name, at)| format!("{}@{}", name.familiar_name(), at.digest()))
            .collect();
        digests.sort();
        digests.dedup();
        digests
    }

    /// Whether no tag names it.
    pub fn is_dangling(&self) -> bool {
        self.references.iter().all(|(name, _)| name.digest().is_some())
    }

    /// Whether all its names are in one repository, and at most one of them is a tag.
    pub fn has_single_reference(&self) -> bool {
        let tags = self.references.iter().filter(|(name, _)| name.digest().is_none()).count();
        let first = self.references.first().map(|(name, _)| name.name());
        tags <= 1 && self.references.iter().all(|(name, _)| Some(name.name()) == first)
    }

    /// When it was made: seconds since 1970, or 0.
    pub fn created(&self) -> i64 {
        seconds(self.image.config.created.as_deref())
    }
}

/// An instant by RFC 3339 in seconds since 1970; 0 for none.
pub(super) fn seconds(text: Option<&str>) -> i64 {
    let since = text.and_then(crate::time::since_1970);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

/// All images of the store, the newest first. One whose blobs are missing or damaged is left out: it
/// has no id.
///
/// # Errors
///
/// When the index cannot be read.
pub fn read(store: &Store) -> Result<Vec<StoredImage>> {
    let references = store.references()?;
    let mut images: BTreeMap<String, StoredImage> = BTreeMap::new();
    for top in store.all()? {
        let Some(image) = image_of(store, &top) else { continue };
        let Ok(id) = image.id() else { continue };
        let found = images.entry(id.to_string()).or_insert_with(|| StoredImage {
            id,
            image,
            tops: Vec::new(),
            references: Vec::new(),
        });
        let names = references.iter().filter(|(_, at)| at.digest() == top.digest());
        found.references.extend(names.cloned());
        found.tops.push(top);
    }
    let mut images: Vec<StoredImage> = images.into_values().collect();
    for image in &mut images {
        image.references.sort_by(|one, other| one.0.cmp(&other.0));
    }
    images.sort_by_key(|image| std::cmp::Reverse(image.created()));
    Ok(images)
}

/// The image of a manifest, or of an index the one for this host, or one that was pulled for another
/// platform.
pub(super) fn image_of(store: &Store, top: &Descriptor) -> Option<Image> {
    let host = Platform::host();
    store.image_at(top, &host).ok().or_else(|| {
        let there = |entry: &Descriptor| -> Result<bool, StoreError> {
            Ok(store.blob(&digest_of(entry)?)?.is_some())
        };
        let bytes = store.read_small("manifest", top).ok()?;
        let Ok(Document::Index(index)) = Document::read(&bytes, None) else { return None };
        let mut entries = index.manifests().iter().filter(|entry| there(entry).unwrap_or(false));
        entries.find_map(|entry| store.image_at(entry, &host).ok())
    })
}
