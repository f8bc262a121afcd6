//! `docker images`, and the part of `docker system df` that is of images.

use std::collections::HashMap;

use bollard_stubs::models::{ImageSearchResponseItem, ImageSummary};
use image::store::Store;

use super::{
    catalog::{self, StoredImage},
    error::Result,
    filters::Criteria,
    size,
};

use crate::filters::Filters;

/// What a list has.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// The query's `filters`; [`Criteria::OF_LIST`].
    pub filters: Filters,
    /// Whether it says how many bytes each image shares with others.
    pub shared_size: bool,
}

/// The images of the store, the newest first.
///
/// # Errors
///
/// When the store cannot be read, and those of [`Criteria::new`].
pub fn list(store: &Store, options: &ListOptions) -> Result<Vec<ImageSummary>> {
    let images = catalog::read(store)?;
    let criteria = Criteria::new(&options.filters, &images, store)?;
    let users = options.shared_size.then(|| size::users_of_layers(&images));
    let summary = |mut image: StoredImage| {
        image.references.retain(|(name, _)| criteria.fits_name(name));
        summary(store, &image, users.as_ref())
    };
    Ok(images.into_iter().filter(|image| criteria.fits(image)).map(summary).collect())
}

fn summary(
    store: &Store,
    image: &StoredImage,
    users: Option<&HashMap<String, usize>>,
) -> ImageSummary {
    ImageSummary {
        id: image.id.to_string(),
        // The steps of a build are in the image's history, and are no images.
        parent_id: String::new(),
        repo_tags: image.repo_tags(),
        repo_digests: image.repo_digests(),
        created: image.created(),
        size: size::of_image(store, image),
        shared_size: users.map_or(-1, |users| size::shared(store, image, users)),
        labels: image.image.config.config.labels.clone().into_iter().collect(),
        containers: -1,
        manifests: None,
        descriptor: None,
    }
}

/// What the images take: the bytes of all layers, each once, and the images with how many of the
/// containers use each. `used` has the image's id of every container.
///
/// # Errors
///
/// When the store cannot be read.
pub fn disk_usage(store: &Store, used: &[String]) -> Result<(i64, Vec<ImageSummary>)> {
    let images = catalog::read(store)?;
    let users = size::users_of_layers(&images);
    let mut layers = HashMap::new();
    for layer in images.iter().flat_map(|image| image.image.layers()) {
        let bytes = size::of_layer(store, &layer);
        layers.insert(layer.chain_id.to_string(), bytes);
    }
    let summary = |image: &StoredImage| {
        let id = image.id.to_string();
        let containers = used.iter().filter(|used| **used == id).count();
        let containers = i64::try_from(containers).unwrap_or(i64::MAX);
        ImageSummary { containers, ..summary(store, image, Some(&users)) }
    };
    Ok((layers.values().sum(), images.iter().map(summary).collect()))
}

/// `docker search`: repositories of the store whose name has `term` in it, at most `limit`. No registry
/// is asked.
///
/// # Errors
///
/// When the store cannot be read.
pub fn search(store: &Store, term: &str, limit: usize) -> Result<Vec<ImageSearchResponseItem>> {
    let term = term.to_lowercase();
    let references = store.references()?;
    let mut names: Vec<String> = references.iter().map(|(name, _)| name.familiar_name()).collect();
    names.dedup();
    let found = names.into_iter().filter(|name| name.contains(&term)).take(limit);
    let item = |name: String| ImageSearchResponseItem {
        description: Some("on this host".into()),
        is_official: Some(!name.contains('/')),
        is_automated: Some(false),
        name: Some(name),
        star_count: Some(0),
    };
    Ok(found.map(item).collect())
}
