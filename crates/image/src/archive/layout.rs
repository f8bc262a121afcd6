//! OCI image layouts, in an archive and in a directory.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    path::Path,
};

use oci_spec::image::{Descriptor, ImageIndex};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};

use super::{
    ArchiveError, CONTAINERD_NAME, Result,
    loaded::{self, Loaded},
    name_of, not_json,
};
use crate::{
    digest::Digest,
    manifest::{self, Document, MAX_BYTES},
    store::{REF_NAME, Store},
};

/// An index in an index in an index.
const MAX_DEPTH: usize = 4;

/// Loads the images of an OCI image layout in a directory: `skopeo copy .. oci:DIRECTORY:NAME`.
///
/// # Errors
///
/// As for [`super::load`].
pub fn load_directory(store: &Store, path: &Path) -> Result<Vec<Loaded>> {
    let directory = File::open(path).map_err(ArchiveError::Read)?;
    let mut copying = Copying { store, layout: &directory, copied: HashSet::new() };
    let missing = || ArchiveError::Missing { name: "index.json".into() };
    let index = read_at_most(copying.open("index.json")?.ok_or_else(missing)?)?;
    for entry in parse_index(&index)?.manifests() {
        copying.copy(entry, 0)?;
    }
    let images = of_layout(store, &index)?;
    loaded::name(store, &images)?;
    Ok(images)
}

/// The images of the layout with this index, whose blobs are in the store by now.
pub(super) fn of_layout(store: &Store, index: &[u8]) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::new();
    let mut seen = Visited::new();
    for entry in parse_index(index)?.manifests() {
        if !is_whole(store, entry, 0, &mut seen)? {
            return Err(ArchiveError::Missing { name: entry.digest().to_string() });
        }
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

/// Which manifests and indexes were looked at, and whether they are whole. Each once: there are more
/// paths through indexes than anybody can follow.
type Visited = HashMap<Digest, bool>;

/// Whether all that `descriptor` leads to is there; of an index, at least one of its images.
fn is_whole(store: &Store, at: &Descriptor, depth: usize, seen: &mut Visited) -> Result<bool> {
    let digest = manifest::digest_of(at)?;
    let has_size = |digest: &Digest, size: u64| -> Result<bool> {
        Ok(store.blob(digest)?.is_some_and(|blob| blob.size == size))
    };
    if depth > MAX_DEPTH || !has_size(&digest, at.size())? {
        return Ok(false);
    }
    if let Some(known) = seen.get(&digest) {
        return Ok(*known);
    }
    let mut whole = false;
    match Document::read(&store.read_small("manifest", at)?, None)? {
        Document::Index(index) => {
            for entry in index.manifests() {
                // What is not an image is passed over, unless it is all there is.
                whole = whole || is_whole(store, entry, depth + 1, seen).unwrap_or(false);
            }
        }
        Document::Manifest(manifest) => {
            whole = true;
            for target in manifest.layers().iter().chain([manifest.config()]) {
                whole = whole && has_size(&manifest::digest_of(target)?, target.size())?;
            }
        }
    }
    seen.insert(digest, whole);
    Ok(whole)
}

/// Copying what an index leads to into the store.
struct Copying<'a> {
    store: &'a Store,
    layout: &'a File,
    copied: HashSet<Digest>,
}

impl Copying<'_> {
    /// A file of the layout; `None` if it is missing. Nothing in somebody's layout leads out of it,
    /// nor is there a pipe that would wait for somebody at its other end.
    fn open(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = match openat2(self.layout, name, flags, Mode::empty(), resolve) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(read(name, &errno.into())),
        };
        let about = file.metadata().map_err(|error| read(name, &error))?;
        match about.is_file() {
            true => Ok(Some(file)),
            false => Err(read(name, &io::Error::other("it is not a regular file"))),
        }
    }

    /// Copies what `descriptor` leads to, verified on the way.
    fn copy(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let digest = manifest::digest_of(descriptor)?;
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        if self.copied.contains(&digest) {
            return Ok(());
        }
        let Some(file) = self.open(&name)? else {
            return match depth {
                0 => Err(ArchiveError::Missing { name: digest.to_string() }),
                // Of an index, not all images need be there.
                _ => Ok(()),
            };
        };
        self.ingest(file, &digest, descriptor.size())?;
        self.copied.insert(digest);
        let media_type = descriptor.media_type().to_string();
        let is_document = media_type.contains("manifest") || media_type.contains("index");
        if depth > MAX_DEPTH || descriptor.size() > MAX_BYTES || !is_document {
            return Ok(());
        }
        let targets: Vec<Descriptor> =
            match Document::read(&self.store.read_small("manifest", descriptor)?, None)? {
                Document::Index(index) => index.manifests().clone(),
                Document::Manifest(manifest) => {
                    manifest.layers().iter().chain([manifest.config()]).cloned().collect()
                }
            };
        targets.iter().try_for_each(|target| self.copy(target, depth + 1))
    }

    fn ingest(&self, mut file: File, digest: &Digest, size: u64) -> Result<()> {
        let Some(mut ingest) = self.store.ingest(digest, Some(size))? else { return Ok(()) };
        ingest.restart()?;
        let mut piece = vec![0; 128 << 10];
        loop {
            match file.read(&mut piece).map_err(ArchiveError::Read)? {
                0 => break,
                length => ingest.push(&piece[..length])?,
            }
        }
        Ok(ingest.commit()?)
    }
}

fn read(name: &str, source: &io::Error) -> ArchiveError {
    ArchiveError::Read(io::Error::new(source.kind(), format!("{name}: {source}")))
}

fn parse_index(bytes: &[u8]) -> Result<ImageIndex> {
    serde_json::from_slice(bytes).map_err(not_json("index.json"))
}

fn read_at_most(file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
    manifest::check_size("index.json", bytes.len() as u64)?;
    Ok(bytes)
}
