//! What people write for an image of the store: a name, a digest, or the beginning of an id.

use oci_spec::image::Descriptor;

use super::{Result, Store, StoreError};
use crate::{
    digest::Digest,
    manifest::{self, Platform},
    reference::Reference,
};

/// Fewer digits could be any image's.
const LEAST_DIGITS: usize = 4;

/// An image that was found by what people wrote.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its name, if it was found by one.
    pub reference: Option<Reference>,
    /// Where its manifest or index is.
    pub descriptor: Descriptor,
}

impl Store {
    /// The image that `text` means: the name of one, `sha256:` and its id or digest, or the
    /// beginning of either.
    ///
    /// # Errors
    ///
    /// When there is none, or the beginning is that of several.
    pub fn resolve(&self, text: &str) -> Result<Named> {
        if let Ok(reference) = text.parse::<Reference>()
            && let Some(descriptor) = self.find(&reference)?
        {
            return Ok(Named { reference: Some(reference), descriptor });
        }
        let none = || StoreError::NoImage { name: text.chars().take(300).collect() };
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() < LEAST_DIGITS || !is_digits {
            return Err(none());
        }
        let mut found: Vec<Descriptor> = Vec::new();
        for descriptor in self.all()? {
            if self.ids(&descriptor)?.iter().any(|id| id.hex().starts_with(hex)) {
                found.push(descriptor);
            }
        }
        match &found[..] {
            [] => Err(none()),
            [one] => Ok(Named { reference: None, descriptor: one.clone() }),
            several => Err(StoreError::Ambiguous { text: text.into(), count: several.len() }),
        }
    }

    /// The manifests and indexes of all images, each once.
    ///
    /// # Errors
    ///
    /// When the index cannot be read.
    pub fn all(&self) -> Result<Vec<Descriptor>> {
        let mut all: Vec<Descriptor> = Vec::new();
        for entry in self.index()?.manifests() {
            if !all.iter().any(|known| known.digest() == entry.digest()) {
                all.push(entry.clone());
            }
        }
        Ok(all)
    }

    /// The digest of the manifest, and the id of the image if its blobs are there.
    fn ids(&self, descriptor: &Descriptor) -> Result<Vec<Digest>> {
        let mut ids = vec![manifest::digest_of(descriptor)?];
        if let Ok(image) = self.image_at(descriptor, &Platform::host()) {
            ids.push(image.id()?);
        }
        Ok(ids)
    }
}
