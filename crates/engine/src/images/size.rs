//! How large images are: the files of their layers, as `docker images` counts them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};

use image::{store::Store, unpacked::Layer, usage::file_bytes};

use super::catalog::StoredImage;

/// More layers than this are counted anew.
const MAX_KNOWN: usize = 10_000;

/// The bytes of a layer's files. Of one that is not unpacked, those of its compressed archive.
pub fn of_layer(store: &Store, layer: &Layer) -> i64 {
    let path = store.unpacked_path(&layer.chain_id);
    let bytes = known(path).unwrap_or_else(|| layer.descriptor.size());
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The bytes of all layers of an image.
pub fn of_image(store: &Store, image: &StoredImage) -> i64 {
    image.image.layers().iter().map(|layer| of_layer(store, layer)).sum()
}

/// What is in the directory of a layer never changes, and counting it takes a look at each file.
fn known(path: PathBuf) -> Option<u64> {
    static KNOWN: OnceLock<Mutex<HashMap<PathBuf, u64>>> = OnceLock::new();
    let known = || KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    // It may have been collected since.
    if !path.exists() {
        return None;
    }
    if let Some(bytes) = known().get(&path) {
        return Some(*bytes);
    }
    let bytes = file_bytes(&path).ok()?;
    let mut known = known();
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(path, bytes);
    Some(bytes)
}

/// How many images have each layer, by its chain id.
pub fn users_of_layers(images: &[StoredImage]) -> HashMap<String, usize> {
    let mut users = HashMap::new();
    for image in images {
        for layer in image.image.layers() {
            *users.entry(layer.chain_id.to_string()).or_insert(0) += 1;
        }
    }
    users
}

/// The bytes of those layers of an image that another image has too.
pub fn shared(store: &Store, image: &StoredImage, users: &HashMap<String, usize>) -> i64 {
    let layers = image.image.layers();
    let is_shared = |layer: &&Layer| users.get(&layer.chain_id.to_string()).is_some_and(|&n| n > 1);
    layers.iter().filter(is_shared).map(|layer| of_layer(store, layer)).sum()
}
