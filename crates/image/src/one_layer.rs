//! Images of one new layer: what is imported as one archive, and what a container changed on top of its
//! image.

use std::io::{self, Write};

use oci_spec::image::Descriptor;
use serde_json::json;

use crate::{
    config::ImageConfig,
    layer::Packed,
    manifest::{self, MAX_LAYERS, ManifestError, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST},
    store::{Image, Store, StoreError},
};

/// Keeps an image whose only layer is the tar archive that `write` writes. `config` says what it
/// runs. Returns where its manifest is, and how many bytes the compressed layer has. The image has no
/// name yet.
///
/// # Errors
///
/// Those of `write`, and when the store cannot be written.
pub fn keep(
    store: &Store,
    mut config: ImageConfig,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(Descriptor, u64), StoreError> {
    config.rootfs.diff_ids.clear();
    let kept = new_layer(store, Vec::new(), config, write)?;
    Ok((kept.0, kept.1.size()))
}

/// Keeps an image with the layers of `base` and, on top of them, the tar archive that `write` writes.
/// `config` says what it runs; its layers are set here. Returns where its manifest is. The image has no
/// name yet.
///
/// # Errors
///
/// Those of `write`, when the store cannot be written, and when `base` has as many layers as an image
/// may have.
pub fn keep_on_top(
    store: &Store,
    base: &Image,
    mut config: ImageConfig,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Descriptor, StoreError> {
    if base.manifest.layers().len() >= MAX_LAYERS {
        let why = format!("it has {MAX_LAYERS} layers already; overlayfs takes no more");
        return Err(ManifestError::Invalid { what: "image", why }.into());
    }
    let layers = base.manifest.layers().iter().map(manifest::oci_layer);
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    config.rootfs.diff_ids.clone_from(&base.config.rootfs.diff_ids);
    Ok(new_layer(store, layers, config, write)?.0)
}

/// Adds a layer to `layers`, and the image of all of them; the manifest and the new layer.
fn new_layer(
    store: &Store,
    mut layers: Vec<Descriptor>,
    mut config: ImageConfig,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(Descriptor, Descriptor), StoreError> {
    let (digest, bytes, diff_id) = store.add_with(|output| {
        let mut packed = Packed::new(output);
        let written = write(&mut packed).and_then(|()| packed.finish());
        let path = store.path().join("blobs");
        written.map_err(|source| StoreError::Io { action: "write a layer below", path, source })
    })?;
    config.rootfs.diff_ids.push(diff_id);
    let layer = manifest::descriptor(OCI_LAYER, &digest, bytes);
    layers.push(layer.clone());
    let config = serde_json::to_vec(&config).expect("a config is valid JSON");
    let config_digest = store.add(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": manifest::descriptor(OCI_CONFIG, &config_digest, config.len() as u64),
        "layers": layers,
    });
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is valid JSON");
    let digest = store.add(&manifest)?;
    Ok((manifest::descriptor(OCI_MANIFEST, &digest, manifest.len() as u64), layer))
}
