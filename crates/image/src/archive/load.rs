//! Images into the store.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use oci_spec::image::{Descriptor, ImageIndex};
use serde::Deserialize;
use serde_json::json;
use tar::{Archive, EntryType};

use super::{ArchiveError, CONTAINERD_NAME, Result, name_of};
use crate::{
    compression::{self, Compression, Limits},
    digest::Digest,
    manifest::{self, Document, MAX_BYTES, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST},
    reference::Reference,
    store::{self, REF_NAME, Store, StoreError},
};

/// No archive of images has more.
const MAX_ENTRIES: usize = 100_000;
/// An image in an image in an image.
const MAX_DEPTH: usize = 4;

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its names; none if the archive has none.
    pub names: Vec<Reference>,
    /// Where its manifest or index is.
    pub descriptor: Descriptor,
}

/// Loads the images of an archive, which gzip or zstd may have compressed, and names them in the
/// store as the archive does.
///
/// # Errors
///
/// When it is not one of images, is cut off or contradicts itself, and when the store cannot be
/// written. Blobs that arrived stay until the next garbage collection.
pub fn load(store: &Store, input: impl Read + Send) -> Result<Vec<Loaded>> {
    let decoder = compression::decoder(input, &Limits::default()).map_err(ArchiveError::Read)?;
    let entries = read_entries(store, decoder)?;
    let loaded = match (entries.find("manifest.json"), entries.find("index.json")) {
        (Some(docker), _) => of_docker(store, &entries, &docker)?,
        (None, Some(index)) => of_layout(store, &read(store, &index)?)?,
        (None, None) => return Err(ArchiveError::NoImages),
    };
    name(store, &loaded)?;
    Ok(loaded)
}

/// Loads the images of an OCI image layout in a directory: `skopeo copy .. oci:DIRECTORY:NAME`.
///
/// # Errors
///
/// As for [`load`].
pub fn load_directory(store: &Store, path: &Path) -> Result<Vec<Loaded>> {
    let open = |name: &Path| File::open(name).map_err(ArchiveError::Read);
    let index = read_at_most(open(&path.join("index.json"))?)?;
    let index = parse_index(&index)?;
    for entry in index.manifests() {
        copy(store, path, entry, 0)?;
    }
    let loaded = of_layout(store, &serde_json::to_vec(&index).expect("it was read from JSON"))?;
    name(store, &loaded)?;
    Ok(loaded)
}

fn name(store: &Store, loaded: &[Loaded]) -> Result<()> {
    for image in loaded {
        match &image.names[..] {
            [] => store.keep(&image.descriptor)?,
            names => names.iter().try_for_each(|name| store.tag(name, &image.descriptor))?,
        }
    }
    Ok(())
}

/// What an archive has under which name, all of it in the store by then.
#[derive(Default)]
struct Entries {
    files: BTreeMap<String, (Digest, u64)>,
    /// Docker's older archives have a layer once, and links to it.
    links: BTreeMap<String, String>,
}

impl Entries {
    fn find(&self, name: &str) -> Option<(Digest, u64)> {
        let mut name = normal("", name)?;
        for _ in 0..MAX_DEPTH {
            match (self.files.get(&name), self.links.get(&name)) {
                (Some(found), _) => return Some(found.clone()),
                (None, Some(target)) => name.clone_from(target),
                (None, None) => return None,
            }
        }
        None
    }
}

/// `target`, seen from the directory `from`, without `.` and `..`; nothing if it leads out.
fn normal(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn read_entries(store: &Store, input: impl Read) -> Result<Entries> {
    let mut entries = Entries::default();
    let mut archive = Archive::new(input);
    for (count, entry) in archive.entries().map_err(ArchiveError::Read)?.enumerate() {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        if count >= MAX_ENTRIES {
            let why = format!("it has more than {MAX_ENTRIES} entries");
            return Err(ArchiveError::Invalid { why });
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(name) = normal("", &name) else { continue };
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let (digest, size, ()) = store.add_with(|out| {
                    io::copy(&mut entry, out).map(drop).map_err(ArchiveError::Read)
                })?;
                entries.files.insert(name, (digest, size));
            }
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let target = String::from_utf8_lossy(&target).into_owned();
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let from = if kind == EntryType::Symlink { folder } else { "" };
                if let Some(target) = normal(from, &target) {
                    entries.links.insert(name, target);
                }
            }
            _ => {}
        }
    }
    Ok(entries)
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
    let json = |source| ManifestJson { what: "manifest.json", source };
    let images: Vec<DockerImage> =
        serde_json::from_slice(&read(store, index)?).map_err(json).map_err(invalid)?;
    images.iter().map(|image| docker_image(store, entries, image)).collect()
}

fn docker_image(store: &Store, entries: &Entries, image: &DockerImage) -> Result<Loaded> {
    let find = |name: &String| {
        entries
            .find(name)
            .ok_or_else(|| ArchiveError::Missing { name: name.chars().take(200).collect() })
    };
    let (config, size) = find(&image.config)?;
    let mut layers = Vec::new();
    for layer in image.layers.iter().flatten() {
        layers.push(compressed(store, find(layer)?)?);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": manifest::descriptor(OCI_CONFIG, &config, size),
        "layers": layers.iter().map(|layer| &layer.descriptor).collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is valid JSON");
    // An image of docker's own archive is the same manifest as before, if it has one.
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
struct Layer {
    descriptor: Descriptor,
    /// Of one that was not compressed; that of others is verified when they are unpacked.
    diff_id: Option<Digest>,
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

fn of_layout(store: &Store, index: &[u8]) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::new();
    for entry in parse_index(index)?.manifests() {
        whole(store, entry, 0)?;
        let annotation = |key: &str| entry.annotations().as_ref()?.get(key).cloned();
        let names = [CONTAINERD_NAME, REF_NAME].map(annotation);
        let name = names.iter().flatten().find_map(|name| name_of(name));
        let mut descriptor =
            Descriptor::new(entry.media_type().clone(), entry.size(), entry.digest().clone());
        descriptor.set_platform(entry.platform().clone());
        loaded.push(Loaded { names: name.into_iter().collect(), descriptor });
    }
    Ok(loaded)
}

/// Checks that all that `descriptor` leads to is there; of an index, at least one of its images.
fn whole(store: &Store, descriptor: &Descriptor, depth: usize) -> Result<()> {
    let missing = |digest: &Digest| ArchiveError::Missing { name: digest.to_string() };
    let digest = manifest::digest_of(descriptor)?;
    if depth > MAX_DEPTH || store.blob(&digest)?.is_none() {
        return Err(missing(&digest));
    }
    let bytes = store.read_small("manifest", descriptor)?;
    match Document::read(&bytes, None)? {
        Document::Index(index) => {
            let there =
                index.manifests().iter().any(|entry| whole(store, entry, depth + 1).is_ok());
            if there { Ok(()) } else { Err(missing(&digest)) }
        }
        Document::Manifest(manifest) => {
            for target in manifest.layers().iter().chain([manifest.config()]) {
                let digest = manifest::digest_of(target)?;
                if store.blob(&digest)?.is_none_or(|blob| blob.size != target.size()) {
                    return Err(missing(&digest));
                }
            }
            Ok(())
        }
    }
}

/// Copies what `descriptor` leads to from a layout's directory, verified on the way.
fn copy(store: &Store, layout: &Path, descriptor: &Descriptor, depth: usize) -> Result<()> {
    let digest = manifest::digest_of(descriptor)?;
    let path = layout.join("blobs").join(digest.algorithm().name()).join(digest.hex());
    let mut file = match File::open(&path) {
        Ok(file) => file,
        // Of an index, not all images need be there.
        Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => return Ok(()),
        Err(error) => return Err(ArchiveError::Read(error)),
    };
    if let Some(mut ingest) = store.ingest(&digest, Some(descriptor.size()))? {
        ingest.restart()?;
        let mut piece = vec![0; 128 << 10];
        loop {
            match file.read(&mut piece).map_err(ArchiveError::Read)? {
                0 => break,
                length => ingest.push(&piece[..length])?,
            }
        }
        ingest.commit()?;
    }
    if depth > MAX_DEPTH || descriptor.size() > MAX_BYTES {
        return Ok(());
    }
    let media_type = descriptor.media_type().to_string();
    if !media_type.contains("manifest") && !media_type.contains("index") {
        return Ok(());
    }
    let targets: Vec<Descriptor> =
        match Document::read(&store.read_small("manifest", descriptor)?, None)? {
            Document::Index(index) => index.manifests().clone(),
            Document::Manifest(manifest) => {
                manifest.layers().iter().chain([manifest.config()]).cloned().collect()
            }
        };
    targets.iter().try_for_each(|target| copy(store, layout, target, depth + 1))
}

fn parse_index(bytes: &[u8]) -> Result<ImageIndex> {
    let json = |source| ManifestJson { what: "index.json", source };
    serde_json::from_slice(bytes).map_err(json).map_err(invalid)
}

fn read_at_most(file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
    manifest::check_size("index.json", bytes.len() as u64)?;
    Ok(bytes)
}

struct ManifestJson {
    what: &'static str,
    source: serde_json::Error,
}

fn invalid(error: ManifestJson) -> ArchiveError {
    let ManifestJson { what, source } = error;
    manifest::ManifestError::Json { what, source }.into()
}
