//! The names of images: `index.json`.
//!
//! It is read whole and replaced whole. Who changes it holds `index.lock`, so no change is lost.

use std::{fs, io, path::PathBuf};

use oci_spec::image::{Descriptor, ImageIndex};

use super::{Lock, Result, Store, StoreError, error};
use crate::{manifest, reference::Reference};

/// The annotation by which an image layout names an image.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Store {
    /// All named images, sorted by name.
    ///
    /// # Errors
    ///
    /// When the index cannot be read.
    pub fn references(&self) -> Result<Vec<(Reference, Descriptor)>> {
        let index = self.index()?;
        let named =
            index.manifests().iter().filter_map(|entry| Some((name(entry)?, entry.clone())));
        let mut all: Vec<_> = named.collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(all)
    }

    /// All images that no reference names: untagged by a later one of the same name.
    ///
    /// # Errors
    ///
    /// When the index cannot be read.
    pub fn dangling(&self) -> Result<Vec<Descriptor>> {
        let index = self.index()?;
        Ok(index.manifests().iter().filter(|entry| name(entry).is_none()).cloned().collect())
    }

    /// The manifest or index that `reference` names. A digest alone is found if any image of the
    /// same repository has it, or if the manifest itself is there.
    ///
    /// # Errors
    ///
    /// When the index cannot be read.
    pub fn find(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let all = self.references()?;
        let Some(digest) = reference.digest() else {
            return Ok(all.into_iter().find(|(known, _)| known == reference).map(|(_, at)| at));
        };
        let same_name = all.into_iter().filter(|(known, _)| known.name() == reference.name());
        let has_digest = |at: &Descriptor| at.digest().to_string() == digest.to_string();
        Ok(same_name.map(|(_, at)| at).find(has_digest))
    }

    /// Gives the manifest at `descriptor` the name `reference`. The image that had this name before
    /// stays, without it.
    ///
    /// # Errors
    ///
    /// When the index cannot be read or written.
    pub fn tag(&self, reference: &Reference, descriptor: &Descriptor) -> Result<()> {
        self.change_index(|entries| {
            let same = |entry: &Descriptor| entry.digest() == descriptor.digest();
            let (named, others): (Vec<_>, Vec<_>) =
                entries.drain(..).partition(|entry| name(entry).as_ref() == Some(reference));
            *entries = others;
            let is_known = |entries: &[Descriptor], entry: &Descriptor| {
                entries.iter().any(|other| other.digest() == entry.digest())
            };
            for old in named {
                if !same(&old) && !is_known(entries, &old) {
                    entries.push(with_name(&old, None));
                }
            }
            // It has a name now.
            entries.retain(|entry| !(name(entry).is_none() && same(entry)));
            entries.push(with_name(descriptor, Some(reference)));
        })
    }

    /// Keeps the manifest at `descriptor` without a name, unless it has one.
    ///
    /// # Errors
    ///
    /// When the index cannot be read or written.
    pub fn keep(&self, descriptor: &Descriptor) -> Result<()> {
        self.change_index(|entries| {
            if !entries.iter().any(|entry| entry.digest() == descriptor.digest()) {
                entries.push(with_name(descriptor, None));
            }
        })
    }

    /// Removes the name. Returns what it named, and whether that has another name.
    ///
    /// # Errors
    ///
    /// When the index cannot be read or written.
    pub fn untag(&self, reference: &Reference) -> Result<Option<(Descriptor, bool)>> {
        let mut removed = None;
        self.change_index(|entries| {
            let of_name = |entry: &Descriptor| name(entry).as_ref() == Some(reference);
            if let Some(at) = entries.iter().position(of_name) {
                let entry = entries.remove(at);
                let has_other = entries.iter().any(|other| other.digest() == entry.digest());
                removed = Some((entry, has_other));
            }
        })?;
        Ok(removed)
    }

    /// Removes all entries of these manifests.
    ///
    /// # Errors
    ///
    /// When the index cannot be read or written.
    pub fn forget(&self, descriptors: &[Descriptor]) -> Result<()> {
        self.change_index(|entries| {
            let is_one =
                |entry: &Descriptor| descriptors.iter().any(|d| d.digest() == entry.digest());
            entries.retain(|entry| !is_one(entry));
        })
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<Descriptor>)) -> Result<()> {
        let _lock = Lock::exclusive(&self.path.join("index.lock"))?;
        let mut index = self.index()?;
        let mut entries = index.manifests().clone();
        change(&mut entries);
        if *index.manifests() == entries {
            return Ok(());
        }
        index.set_manifests(entries);
        let bytes = serde_json::to_vec(&index).expect("an index is valid JSON");
        self.replace_file("index.json", &bytes)
    }

    pub(super) fn index(&self) -> Result<ImageIndex> {
        let path = self.index_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut empty = ImageIndex::default();
                empty.set_media_type(Some(manifest::OCI_INDEX.into()));
                return Ok(empty);
            }
            Err(error) => return Err(error::io("read", &path)(error)),
        };
        serde_json::from_slice(&bytes).map_err(|source| StoreError::Index { path, source })
    }

    fn index_path(&self) -> PathBuf {
        self.path.join("index.json")
    }
}

fn name(entry: &Descriptor) -> Option<Reference> {
    entry.annotations().as_ref()?.get(REF_NAME)?.parse().ok()
}

/// What the index keeps of a descriptor: where it is, and its name.
fn with_name(descriptor: &Descriptor, reference: Option<&Reference>) -> Descriptor {
    let mut entry = Descriptor::new(
        descriptor.media_type().clone(),
        descriptor.size(),
        descriptor.digest().clone(),
    );
    let named = reference.map(|name| [(REF_NAME.to_owned(), name.to_string())].into());
    entry.set_annotations(named);
    entry
}
