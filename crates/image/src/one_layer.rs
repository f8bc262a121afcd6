//! Images of a single layer: what is imported as one archive.

use std::io::{self, Write};

use oci_spec::image::Descriptor;
use serde_json::json;

use crate::{
    config::ImageConfig,
    layer::Packed,
    manifest::{self, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST},
    store::{Store, StoreError},
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
    let (digest, bytes, diff_id) = store.add_with(|output| {
        let mut packed = Packed::new(output);
        let written = write(&mut packed).and_then(|()| packed.finish());
        let path = store.path().join("blobs");
        written.map_err(|source| StoreError::Io { action: "write a layer below", path, source })
    })?;
    config.rootfs.diff_ids = vec![diff_id];
    let config = serde_json::to_vec(&config).expect("a config is valid JSON");
    let config_digest = store.add(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": manifest::descriptor(OCI_CONFIG, &config_digest, config.len() as u64),
        "layers": [manifest::descriptor(OCI_LAYER, &digest, bytes)],
    });
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is valid JSON");
    let digest = store.add(&manifest)?;
    Ok((manifest::descriptor(OCI_MANIFEST, &digest, manifest.len() as u64), bytes))
}
