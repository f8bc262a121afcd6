//! `docker image prune`, `docker builder prune`, and the space on the disk that they free.

use bollard_stubs::models::{
    BuildCache, BuildCacheTypeEnum, BuildPruneResponse, ImageDeleteResponseItem, ImagePruneResponse,
};
use image::{
    build::cache::{self, CachedStep},
    gc::{self, CollectError, Scope},
    store::Store,
};

use super::{
    catalog,
    error::{ImageError, Result},
    filters::Criteria,
    remove::{ImageUser, RemoveOptions, remove},
};

use crate::filters::Filters;

/// Removes images that no container has: those without a name or, with the filter `dangling=false`, all.
/// The store is this call's own: nobody frees space while another has it open.
///
/// # Errors
///
/// When the store cannot be read or written, and those of [`Criteria::new`].
pub fn prune(store: Store, filters: &Filters, users: &[ImageUser]) -> Result<ImagePruneResponse> {
    let images = catalog::read(&store)?;
    let dangling_only = filters.flag("dangling")?.unwrap_or(true);
    let criteria = Criteria::new(filters, &images, &store)?;
    let criteria = criteria.dangling(dangling_only.then_some(true));
    let mut deleted: Vec<ImageDeleteResponseItem> = Vec::new();
    for image in images.iter().filter(|image| criteria.fits(image)) {
        let id = image.id.to_string();
        if users.iter().any(|user| user.image == id) {
            continue;
        }
        match remove(&store, &id, RemoveOptions { force: true }, users) {
            Ok(items) => deleted.extend(items),
            // Somebody else was faster.
            Err(ImageError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let space_reclaimed = Some(reclaim(store)?);
    Ok(ImagePruneResponse { images_deleted: Some(deleted), space_reclaimed })
}

/// Frees the space of what neither an image nor the build cache needs; the bytes. While another has the
/// store open, nothing is freed now, and the next call does it.
///
/// # Errors
///
/// When something of it cannot be removed.
pub fn reclaim(store: Store) -> Result<i64> {
    match gc::collect(store, Scope::Unreachable) {
        Ok(collected) => {
            let bytes = collected.bytes + collected.layer_bytes + collected.note_bytes;
            Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
        }
        Err(CollectError::Busy { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The steps that the next build need not repeat. `InUse` are those whose layer an image has.
///
/// # Errors
///
/// When the store cannot be read.
pub fn build_cache(store: &Store) -> Result<Vec<BuildCache>> {
    let images = catalog::read(store)?;
    let layers = images.iter().flat_map(|image| image.image.layers());
    let used: Vec<String> = layers.map(|layer| layer.descriptor.digest().to_string()).collect();
    let item = |step: CachedStep| {
        let size = step.layer.as_ref().map_or(0, |(_, size)| *size);
        let digest = step.layer.as_ref().map(|(digest, _)| digest.to_string());
        let in_use = digest.as_ref().is_some_and(|digest| used.contains(digest));
        let created = i64::try_from(step.created).ok();
        let created = created.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        let created_at = created.map(|time| time.to_string());
        BuildCache {
            id: Some(step.key.hex().to_owned()),
            parents: None,
            typ: Some(BuildCacheTypeEnum::REGULAR),
            description: Some(digest.unwrap_or_else(|| "no layer".into())),
            in_use: Some(in_use),
            // Its bytes are counted with those of the image.
            shared: Some(in_use),
            size: Some(i64::try_from(size).unwrap_or(i64::MAX)),
            last_used_at: created_at.clone(),
            created_at,
            usage_count: Some(1),
        }
    };
    Ok(cache::steps(store).into_iter().map(item).collect())
}

/// Forgets the build cache: steps whose layer no image has or, with `all`, every step.
///
/// # Errors
///
/// When the store cannot be read or written.
pub fn prune_build_cache(store: Store, all: bool) -> Result<BuildPruneResponse> {
    let items = build_cache(&store)?;
    let is_removed = |id: &str| {
        let item = items.iter().find(|item| item.id.as_deref() == Some(id));
        all || item.is_some_and(|item| item.in_use == Some(false))
    };
    let steps = cache::steps(&store);
    let removed: Vec<CachedStep> =
        steps.into_iter().filter(|step| is_removed(step.key.hex())).collect();
    cache::forget(&store, &removed).map_err(ImageError::io("forget a step of the build cache"))?;
    let caches_deleted = removed.iter().map(|step| step.key.hex().to_owned()).collect();
    let space_reclaimed = Some(reclaim(store)?);
    Ok(BuildPruneResponse { caches_deleted: Some(caches_deleted), space_reclaimed })
}
