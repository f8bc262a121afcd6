//! What clients write for an image: a name, a digest, an id, or the beginning of one.

use image::{digest::Digest, reference::Reference, store::Store};
use oci_spec::image::Descriptor;

use super::{
    catalog::{self, StoredImage},
    error::{ImageError, Result},
};

/// An image, and how it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The image.
    pub image: StoredImage,
    /// The name that found it, with what it names; `None` if it was found by its id.
    pub reference: Option<(Reference, Descriptor)>,
}

/// The image that `text` means: as dockerd, a name before an id.
///
/// # Errors
///
/// 400 when it is neither a name nor an id, 404 when there is no such image.
pub fn find(store: &Store, text: &str) -> Result<Found> {
    find_in(catalog::read(store)?, store, text)
}

/// The same among images that were read before.
///
/// # Errors
///
/// Those of [`find`].
pub fn find_in(images: Vec<StoredImage>, store: &Store, text: &str) -> Result<Found> {
    // 64 digits are an id, and never a name.
    let reference = match whole_id(text) {
        Some(_) => None,
        None => Some(text.parse::<Reference>()?),
    };
    let shown = reference.as_ref().map_or_else(|| text.to_owned(), Reference::familiar);
    if let Some(reference) = reference
        && let Some(descriptor) = store.find(&reference)?
    {
        let leads =
            |image: &StoredImage| image.tops.iter().any(|top| top.digest() == descriptor.digest());
        let image = images.into_iter().find(leads);
        let image = image.ok_or_else(|| {
            let text =
                format!("the image {shown} is not whole in the store: pull or build it again");
            ImageError::Failed(text)
        })?;
        return Ok(Found { image, reference: Some((reference, descriptor)) });
    }
    let image = by_id(images, text).ok_or_else(|| ImageError::no_image(&shown))?;
    Ok(Found { image, reference: None })
}

/// The digest that 64 digits mean, with `sha256:` before them or without.
fn whole_id(text: &str) -> Option<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    format!("sha256:{hex}").parse().ok()
}

/// The only image whose id, or the digest of whose manifest, begins so.
fn by_id(images: Vec<StoredImage>, text: &str) -> Option<StoredImage> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hex.is_empty() || !is_digits {
        return None;
    }
    let manifest = format!("sha256:{hex}");
    let mut found = images.into_iter().filter(|image| {
        let mut tops = image.tops.iter();
        image.id.hex().starts_with(hex) || tops.any(|top| top.digest().to_string() == manifest)
    });
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

/// Whether `text` found the image by its id and not by a name.
pub(super) fn is_id_prefix(id: &Digest, text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    !hex.is_empty() && id.hex().starts_with(hex)
}

/// The name that `repo` and `tag` give an image.
///
/// # Errors
///
/// 400 when it is not a name, or one with a digest, which cannot be given.
pub fn name_to_give(repo: &str, tag: &str) -> Result<Reference> {
    let reference: Reference = repo.parse()?;
    if reference.digest().is_some() {
        let text = "refusing to create a tag with a digest reference";
        return Err(ImageError::Invalid(text.into()));
    }
    if reference.familiar_name() == "sha256" {
        let text = "refusing to create an ambiguous tag using digest algorithm as name";
        return Err(ImageError::Invalid(text.into()));
    }
    match tag {
        "" => Ok(reference),
        tag => {
            let invalid = |_| ImageError::Invalid("invalid tag format".into());
            reference.with_tag(tag).map_err(invalid)
        }
    }
}

/// Whether `text` names a repository alone, without tag and digest.
pub fn is_name_only(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or(text);
    !last.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_to_give_has_a_tag_and_no_digest() {
        let name = name_to_give("127.0.0.1:5000/a/b", "1").unwrap();
        assert_eq!(name.to_string(), "127.0.0.1:5000/a/b:1");
        assert_eq!(name_to_give("a", "").unwrap().familiar(), "a:latest");
        let digest = Digest::of(b"");
        for (repo, tag, words) in [
            ("A", "", "invalid reference format"),
            ("", "", "invalid reference format"),
            ("../a", "", "invalid reference format"),
            ("a", ".b", "invalid tag format"),
            ("a", "b/c", "invalid tag format"),
            (&format!("a@{digest}"), "", "digest reference"),
            ("sha256", "", "ambiguous"),
        ] {
            let error = name_to_give(repo, tag).unwrap_err();
            assert_eq!(error.status(), 400, "{repo}:{tag}");
            assert!(error.to_string().contains(words), "{repo}:{tag}: {error}");
        }
    }

    #[test]
    fn the_port_of_a_registry_is_no_tag() {
        assert!(is_name_only("127.0.0.1:5000/a"));
        assert!(is_name_only("busybox"));
        assert!(!is_name_only("busybox:1"));
        assert!(!is_name_only("a/b@sha256:0"));
    }
}
