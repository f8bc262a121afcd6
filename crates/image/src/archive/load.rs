//! Images into the store.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
};

use oci_spec::image::Descriptor;
use serde::Deserialize;
use serde_json::json;

use super::{
    ArchiveError, Result,
    entries::Entries,
    layout::of_layout,
    loaded::{self, Loaded, MAX_IMAGES},
    not_json,
};
use crate::{
    compression::{self, Compression, Limits},
    digest::Digest,
    manifest::{self, Document, MAX_LAYERS, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST},
    store::{self, Store, StoreError},
};

/// Loads the images of an archive, which gzip or zstd may have compressed, and names them in the
/// store as the archive does.
///
/// # Errors
///
/// When it is not one of images, is cut off or contradicts itself, and when the store cannot be
/// written. Blobs that arrived stay until the next garbage collection.
pub fn load(store: &Store, input: impl Read + Send) -> Result<Vec<Loaded>> {
    let decoder = compression::decoder(input, &Limits::default()).map_err(ArchiveError::Read)?;
    let entries = Entries::read(store, decoder)?;
    let images = match (entries.find("manifest.json"), entries.find("index.json")) {
        (Some(docker), _) => of_docker(store, &entries, &docker)?,
        (None, Some(index)) => of_layout(store, &read(store, &index)?)?,
        (None, None) => return Err(ArchiveError::NoImages),
    };
    loaded::name(store, &images)?;
    Ok(images)
}

/// Reads a small blob that was just added.
fn read(store: &Store, (digest, size): &(Digest, u64)) -> Result<Vec<u8>> {
    Ok(store.read_small("index of the archive", &manifest::descriptor("", digest, *size))?)
}

/// An image, as docker's `manifest.json` has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

fn of_docker(store: &Store, entries: &Entries, index: &(Digest, u64)) -> Result<Vec<Loaded>> {
    let images: Vec<DockerImage> =
        serde_json::from_slice(&read(store, index)?).map_err(not_json("manifest.json"))?;
    if images.len() > MAX_IMAGES {
        return Err(loaded::too_many());
    }
    let mut layers = Layers { store, kept: HashMap::new() };
    images.iter().map(|image| docker_image(store, entries, image, &mut layers)).collect()
}

fn docker_image(
    store: &Store,
    entries: &Entries,
    image: &DockerImage,
    kept: &mut Layers<'_>,
) -> Result<Loaded> {
    let find = |name: &String| {
        entries
            .find(name)
            .ok_or_else(|| ArchiveError::Missing { name: name.chars().take(200).collect() })
    };
    let (config, size) = find(&image.config)?;
    let paths = image.layers.as_deref().unwrap_or_default();
    if paths.len() > MAX_LAYERS {
        let why = format!("an image has {} layers; overlayfs takes {MAX_LAYERS}", paths.len());
        return Err(ArchiveError::Invalid { why });
    }
    let layers: Vec<Layer> =
        paths.iter().map(|path| kept.keep(find(path)?)).collect::<Result<_>>()?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": manifest::descriptor(OCI_CONFIG, &config, size),
        "layers": layers.iter().map(|layer| &layer.descriptor).collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is valid JSON");
    let Document::Manifest(parsed) = Document::read(&manifest, None)? else {
        unreachable!("a manifest was written")
    };
    let bytes = store.read_small("image config", parsed.config())?;
    let read = store::read_config(&bytes, &parsed)?;
    for (layer, diff_id) in layers.iter().zip(&read.rootfs.diff_ids) {
        if layer.diff_id.as_ref().is_some_and(|found| found != diff_id) {
            let why = format!("a layer is not {diff_id}, as the image config says");
            return Err(ArchiveError::Invalid { why });
        }
    }
    let digest = store.add(&manifest)?;
    let names = image.repo_tags.iter().flatten().filter_map(|name| name.parse().ok());
    let descriptor = manifest::descriptor(OCI_MANIFEST, &digest, manifest.len() as u64);
    Ok(Loaded { names: names.collect(), descriptor })
}

/// A layer of the archive as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub(super) descriptor: Descriptor,
    /// Of one that was not compressed; that of others is verified when they are unpacked.
    diff_id: Option<Digest>,
}

/// The layers of an archive, each compressed once, however many images have it.
pub(super) struct Layers<'s> {
    pub(super) store: &'s Store,
    pub(super) kept: HashMap<Digest, Layer>,
}

impl Layers<'_> {
    pub(super) fn keep(&mut self, file: (Digest, u64)) -> Result<Layer> {
        if let Some(layer) = self.kept.get(&file.0) {
            return Ok(layer.clone());
        }
        let layer = compressed(self.store, file.clone())?;
        self.kept.insert(file.0, layer.clone());
        Ok(layer)
    }
}

/// Layers are kept compressed, so that a push sends less.
fn compressed(store: &Store, (digest, size): (Digest, u64)) -> Result<Layer> {
    let missing = || StoreError::NoBlob { what: "layer", digest: digest.clone() };
    let open = || -> Result<File> { Ok(store.blob(&digest)?.ok_or_else(missing)?.file) };
    let mut beginning = [0; 8];
    let length = open()?.read(&mut beginning).map_err(ArchiveError::Read)?;
    let media_type = match compression::of_bytes(&beginning[..length]) {
        Compression::Gzip => OCI_LAYER,
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        Compression::None => {
            let mut file = open()?;
            let (packed, bytes, ()) = store.add_with(|out| {
                let mut encoder = compression::gzip(out);
                io::copy(&mut file, &mut encoder).map_err(ArchiveError::Read)?;
                encoder.finish().map(drop).map_err(ArchiveError::Write)
            })?;
            let descriptor = manifest::descriptor(OCI_LAYER, &packed, bytes);
            return Ok(Layer { descriptor, diff_id: Some(digest) });
        }
    };
    Ok(Layer { descriptor: manifest::descriptor(media_type, &digest, size), diff_id: None })
}
