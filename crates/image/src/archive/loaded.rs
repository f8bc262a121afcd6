//! What came out of an archive or a layout, and how it is named.

use oci_spec::image::Descriptor;

use super::{ArchiveError, Result};
use crate::{reference::Reference, store::Store};

/// No archive has more images, nor more names for them.
pub(super) const MAX_IMAGES: usize = 1000;

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its names; none if the archive has none.
    pub names: Vec<Reference>,
    /// Where its manifest or index is.
    pub descriptor: Descriptor,
}

/// Names the images in the store, all of them or, if there are too many, none.
pub(super) fn name(store: &Store, loaded: &[Loaded]) -> Result<()> {
    let names: usize = loaded.iter().map(|image| image.names.len()).sum();
    if loaded.len().max(names) > MAX_IMAGES {
        return Err(too_many());
    }
    for image in loaded {
        match &image.names[..] {
            [] => store.keep(&image.descriptor)?,
            names => names.iter().try_for_each(|name| store.tag(name, &image.descriptor))?,
        }
    }
    Ok(())
}

pub(super) fn too_many() -> ArchiveError {
    ArchiveError::Invalid { why: format!("it has more than {MAX_IMAGES} images or names") }
}
