//! The store: all images of a user, as an OCI image layout in one directory.
//!
//! ```text
//!   oci-layout               "this is an image layout"
//!   index.json               names -> manifests
//!   blobs/sha256/9f86..      manifests, configs, layers, each named by its digest
//!   ingest/sha256-9f86..     blobs that are still arriving
//!   unpacked/9f86../         layers as directories, each named by its chain id
//!   in-use/9f86..            locked while an image runs, named by its manifest
//!   lock, index.lock         flock(2)
//! ```
//!
//! Any number of processes use it at once. A blob appears by rename(2), after its bytes were
//! verified, so it is whole or not there. Who reads or adds holds a shared lock, who deletes holds
//! the exclusive one; the kernel frees locks with the process, also after SIGKILL, and what a killed
//! process left in `ingest` is gone on with by the next. Against a power cut only the index is
//! written through to the disk: `isolab image verify` finds a blob that was not.
//!
//! Source: OCI image specification, "Image Layout".

mod blobs;
mod error;
mod index;
mod locks;
mod resolve;

use std::{
    env,
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use blobs::{Blob, Ingest};
pub use error::StoreError;
pub use index::REF_NAME;
pub use locks::Lock;
pub use resolve::Named;

use crate::{
    config::ImageConfig,
    digest::Digest,
    manifest::{self, Document, Platform},
    reference::Reference,
};
use oci_spec::image::{Descriptor, ImageManifest};

/// What names another directory than the user's own.
pub const DIRECTORY_VARIABLE: &str = "ISOLAB_IMAGES";

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// An index may contain indexes, but not for ever.
const MAX_INDEXES: usize = 4;

type Result<T> = std::result::Result<T, StoreError>;

/// The images of a user. While it exists, nobody else deletes from it.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    _lock: Arc<Lock>,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Where its manifest is.
    pub descriptor: Descriptor,
    /// Which blobs it consists of.
    pub manifest: ImageManifest,
    /// What a container of it runs.
    pub config: ImageConfig,
}

impl Image {
    /// Its id, as `docker images` shows it: the digest of its config.
    ///
    /// # Errors
    ///
    /// When its algorithm is not supported.
    pub fn id(&self) -> Result<Digest> {
        Ok(manifest::digest_of(self.manifest.config())?)
    }
}

impl Store {
    /// The calling user's: `ISOLAB_IMAGES`, or `/var/lib/isolab/images` for root, or
    /// `$XDG_DATA_HOME/isolab/images`, or `~/.local/share/isolab/images`.
    ///
    /// # Errors
    ///
    /// When none of the variables is set, or the directory cannot be made.
    pub fn of_user() -> Result<Self> {
        let path = match env::var_os(DIRECTORY_VARIABLE) {
            Some(path) if !path.is_empty() => path.into(),
            _ => host::data_directory("images").ok_or(StoreError::NoDirectory)?,
        };
        Self::open(&path)
    }

    /// The store in the directory `path`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is a directory of something else.
    pub fn open(path: &Path) -> Result<Self> {
        let layout = path.join("oci-layout");
        if !layout.exists() {
            let empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
            if !empty && !path.join("lock").exists() {
                return Err(StoreError::NotAStore { path: path.into() });
            }
        }
        make(path)?;
        let path = path.canonicalize().map_err(error::io("find", path))?;
        // Before all else: whoever is killed from here on leaves a directory that is known as a store.
        let lock = Lock::shared(&path.join("lock"))?;
        for directory in ["blobs/sha256", "blobs/sha512", "ingest", "unpacked", "in-use"] {
            make(&path.join(directory))?;
        }
        let store = Self { path, _lock: Arc::new(lock) };
        if !layout.exists() {
            store.replace_file("oci-layout", LAYOUT.as_bytes())?;
        }
        Ok(store)
    }

    /// The store under the exclusive lock: while it exists, nobody else opens it. `None` if somebody
    /// has it open, also this process by a clone.
    ///
    /// # Errors
    ///
    /// When the lock's file cannot be opened.
    pub fn into_exclusive(self) -> Result<Option<Self>> {
        let path = self.path.clone();
        drop(self); // a shared lock of its own would be in the way
        let lock = Lock::try_exclusive(&path.join("lock"))?;
        Ok(lock.map(|lock| Self { path, _lock: Arc::new(lock) }))
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The image that `reference` names, for `platform`.
    ///
    /// # Errors
    ///
    /// When there is none, or one of its blobs is missing or invalid.
    pub fn image(&self, reference: &Reference, platform: &Platform) -> Result<Image> {
        let found = self.find(reference)?;
        let found = found.ok_or_else(|| StoreError::NoImage { name: reference.familiar() })?;
        self.image_at(&found, platform)
    }

    /// The image whose manifest or index is at `descriptor`, for `platform`.
    ///
    /// # Errors
    ///
    /// When one of its blobs is missing or invalid, and when it is for other platforms.
    pub fn image_at(&self, descriptor: &Descriptor, platform: &Platform) -> Result<Image> {
        let mut descriptor = descriptor.clone();
        for _ in 0..MAX_INDEXES {
            let bytes = self.read_small("manifest", &descriptor)?;
            let media_type = descriptor.media_type().to_string();
            match Document::read(&bytes, Some(&media_type))? {
                Document::Index(index) => {
                    descriptor = manifest::choose(&index, platform)?.clone();
                }
                Document::Manifest(manifest) => {
                    let config = self.config(&manifest)?;
                    return Ok(Image { descriptor, manifest: *manifest, config });
                }
            }
        }
        Err(StoreError::TooManyIndexes { most: MAX_INDEXES })
    }

    fn config(&self, manifest: &ImageManifest) -> Result<ImageConfig> {
        let bytes = self.read_small("image config", manifest.config())?;
        read_config(&bytes, manifest)
    }

    /// Marks `image` as in use until the lock is dropped, also while no store is open: nobody removes
    /// its layers meanwhile.
    ///
    /// # Errors
    ///
    /// When the file that is locked cannot be made.
    pub fn use_image(&self, image: &Image) -> Result<Lock> {
        let digest = manifest::digest_of(&image.descriptor)?;
        Lock::shared(&self.path.join("in-use").join(digest.hex()))
    }

    /// Reads a manifest, an index or a config, and verifies it once more.
    ///
    /// # Errors
    ///
    /// When it is missing, too large, or not what its digest says.
    pub fn read_small(&self, what: &'static str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        manifest::check_size(what, descriptor.size())?;
        let digest = manifest::digest_of(descriptor)?;
        let blob = self.blob(&digest)?;
        let blob = blob.ok_or_else(|| StoreError::NoBlob { what, digest: digest.clone() })?;
        blob.read_verified(&digest, descriptor.size())
    }

    /// Writes a small file of the layout so that it is the old or the new one at any moment.
    fn replace_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = self.path.join(format!("ingest/{name}.{}", std::process::id()));
        let target = self.path.join(name);
        let written = fs::write(&temporary, bytes)
            .and_then(|()| File::open(&temporary)?.sync_all())
            .and_then(|()| fs::rename(&temporary, &target))
            .and_then(|()| File::open(&self.path)?.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(error::io("write", &target))
    }
}

fn make(directory: &Path) -> Result<()> {
    // Layers contain set-user-ID programs: nobody else may reach them.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(error::io("create", directory))
}

/// Reads the config of `manifest`.
///
/// # Errors
///
/// When it is not a config of as many layers.
pub fn read_config(bytes: &[u8], manifest: &ImageManifest) -> Result<ImageConfig> {
    let what = "image config";
    let json = |source| manifest::ManifestError::Json { what, source };
    let config: ImageConfig = serde_json::from_slice(bytes).map_err(json)?;
    let (layers, diff_ids) = (manifest.layers().len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        let why = format!("the manifest has {layers} layers, the config {diff_ids}");
        return Err(manifest::ManifestError::Invalid { what, why }.into());
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
