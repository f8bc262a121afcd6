//! Images out of the store.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{self, Write},
    path::Path,
};

use oci_spec::image::Descriptor;
use serde_json::{Value, json};

use super::{ArchiveError, CONTAINERD_NAME, Result};
use crate::{
    digest::Digest,
    layer::{Attributes, LayerWriter},
    manifest::{self, Document, OCI_INDEX, Platform},
    reference::Reference,
    store::{REF_NAME, Store, StoreError},
};

/// For whom an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As `docker save` writes it, which all others read too.
    #[default]
    Docker,
    /// An OCI image layout alone.
    Oci,
}

/// What goes into an archive.
struct Collected {
    index: Value,
    docker: Value,
    /// Each once, sorted.
    blobs: BTreeMap<Digest, u64>,
}

/// Writes an archive of these images to `out`.
///
/// # Errors
///
/// When one of them is not whole in the store, or the archive cannot be written.
pub fn save(
    store: &Store,
    images: &[(Option<Reference>, Descriptor)],
    out: impl Write,
    format: Format,
) -> Result<()> {
    let collected = collect(store, images)?;
    let mut writer = LayerWriter::new(out);
    let file = Attributes { mode: 0o644, ..Attributes::default() };
    let directory = Attributes { mode: 0o755, ..Attributes::default() };
    let failed = ArchiveError::Write;
    for name in ["blobs", "blobs/sha256", "blobs/sha512"] {
        writer.directory(name.as_bytes(), &directory).map_err(failed)?;
    }
    for (digest, size) in &collected.blobs {
        let blob = store.blob(digest)?.ok_or_else(|| missing(digest))?;
        if blob.size != *size {
            let (digest, found) = (digest.clone(), blob.size);
            return Err(StoreError::WrongSize { digest, expected: *size, found }.into());
        }
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        writer.file(name.as_bytes(), &file, *size, blob.file).map_err(failed)?;
    }
    let mut texts = vec![("index.json", collected.index.to_string())];
    if format == Format::Docker {
        texts.push(("manifest.json", collected.docker.to_string()));
    }
    texts.push(("oci-layout", LAYOUT.into()));
    for (name, text) in texts {
        let length = text.len() as u64;
        writer.file(name.as_bytes(), &file, length, text.as_bytes()).map_err(failed)?;
    }
    writer.finish().and_then(|mut out| out.flush()).map_err(failed)
}

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes these images as an OCI image layout into the directory `path`, which is made, or has no
/// files yet.
///
/// # Errors
///
/// When one of them is not whole in the store, or the directory cannot be written.
pub fn save_directory(
    store: &Store,
    images: &[(Option<Reference>, Descriptor)],
    path: &Path,
) -> Result<()> {
    let collected = collect(store, images)?;
    let failed = ArchiveError::Write;
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        let why = format!("{} is not empty", path.display());
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, why)));
    }
    for digest in collected.blobs.keys() {
        let folder = path.join("blobs").join(digest.algorithm().name());
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut blob = store.blob(digest)?.ok_or_else(|| missing(digest))?;
        let mut file = fs::File::create_new(folder.join(digest.hex())).map_err(failed)?;
        io::copy(&mut blob.file, &mut file).map_err(failed)?;
    }
    fs::write(path.join("oci-layout"), LAYOUT).map_err(failed)?;
    fs::write(path.join("index.json"), collected.index.to_string()).map_err(failed)
}

fn missing(digest: &Digest) -> ArchiveError {
    StoreError::NoBlob { what: "blob", digest: digest.clone() }.into()
}

fn collect(store: &Store, images: &[(Option<Reference>, Descriptor)]) -> Result<Collected> {
    let (mut blobs, mut index, mut docker) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (reference, descriptor) in images {
        let image = store.image_at(descriptor, &Platform::host())?;
        add(store, descriptor, &mut blobs)?;
        let name = reference.as_ref().map(Reference::to_string);
        let mut entry = json!(descriptor);
        entry["annotations"] = match (&name, reference) {
            (Some(name), Some(reference)) => {
                json!({ REF_NAME: reference.familiar(), CONTAINERD_NAME: name })
            }
            _ => json!({}),
        };
        index.push(entry);
        let path = |descriptor: &Descriptor| {
            manifest::digest_of(descriptor)
                .map(|digest| format!("blobs/{}/{}", digest.algorithm().name(), digest.hex()))
        };
        let layers =
            image.manifest.layers().iter().map(path).collect::<std::result::Result<Vec<_>, _>>()?;
        docker.push(json!({
            "Config": path(image.manifest.config())?,
            "RepoTags": reference.iter().map(Reference::familiar).collect::<Vec<_>>(),
            "Layers": layers,
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": index });
    Ok(Collected { index, docker: docker.into(), blobs })
}

/// All blobs of an image, or of the images of an index that are in the store.
fn add(store: &Store, top: &Descriptor, blobs: &mut BTreeMap<Digest, u64>) -> Result<()> {
    // Each document once, and without recursion: indexes may lead to indexes, deep and often.
    let mut documents = HashSet::new();
    let mut left = vec![top.clone()];
    while let Some(at) = left.pop() {
        let digest = manifest::digest_of(&at)?;
        if !documents.insert(digest.clone()) {
            continue;
        }
        let bytes = store.read_small("manifest", &at)?;
        blobs.insert(digest, at.size());
        match Document::read(&bytes, None)? {
            Document::Index(index) => {
                for entry in index.manifests() {
                    if store.blob(&manifest::digest_of(entry)?)?.is_some() {
                        left.push(entry.clone());
                    }
                }
            }
            Document::Manifest(manifest) => {
                for target in manifest.layers().iter().chain([manifest.config()]) {
                    blobs.insert(manifest::digest_of(target)?, target.size());
                }
            }
        }
    }
    Ok(())
}
