//! Unpacked layers: each one once, as a directory that all images with this layer share.
//!
//! ```text
//!   image A: layers 1 2 3     unpacked/CHAIN(1)  <- overlayfs: lowest
//!   image B: layers 1 2 4     unpacked/CHAIN(1 2)
//!                             unpacked/CHAIN(1 2 3)   A's uppermost
//!                             unpacked/CHAIN(1 2 4)   B's uppermost
//! ```
//!
//! A directory is named by its chain id, which names a layer together with all below it: a hard link
//! to a file of a lower layer makes a difference between the same archive over two others. It is
//! filled under another name, its archive verified by the diff id, and then renamed.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
        },
    },
    path::{Path, PathBuf},
};

use oci_spec::image::{Descriptor, ImageManifest};

use crate::{
    compression,
    config::ImageConfig,
    digest::{Digest, HashingReader},
    layer::{self, ApplyOptions},
    manifest,
    store::{Image, Lock, Store, StoreError},
};

/// A layer that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive cannot be applied.
    #[error("unpack layer {layer}")]
    Layer {
        /// The digest of its blob.
        layer: Digest,
        /// Why not.
        source: layer::LayerError,
    },
    /// The archive is not the one that the config names.
    #[error("layer {layer}: its content is {found}, not {expected} as the image config says")]
    DiffId {
        /// The digest of its blob.
        layer: Digest,
        /// The diff id in the config.
        expected: Digest,
        /// The digest of the uncompressed archive.
        found: Digest,
    },
    /// A directory cannot be made or opened.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// One layer of an image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Where its archive is.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed archive.
    pub diff_id: Digest,
    /// The name of its directory.
    pub chain_id: Digest,
}

impl Image {
    /// Its layers, the lowest first.
    pub fn layers(&self) -> Vec<Layer> {
        layers(&self.manifest, &self.config)
    }
}

/// The layers of an image that may not be in a store yet, the lowest first.
pub fn layers(manifest: &ImageManifest, config: &ImageConfig) -> Vec<Layer> {
    let ids = config.rootfs.diff_ids.iter().cloned().zip(config.chain_ids());
    let all = manifest.layers().iter().cloned().zip(ids);
    all.map(|(descriptor, (diff_id, chain_id))| Layer { descriptor, diff_id, chain_id }).collect()
}

impl Store {
    /// The directory of a layer, which may not be there yet.
    pub fn unpacked_path(&self, chain_id: &Digest) -> PathBuf {
        self.path().join("unpacked").join(chain_id.hex())
    }

    /// The layers of `image` as directories, the uppermost first, as overlayfs takes them. Those
    /// that are missing are unpacked.
    ///
    /// # Errors
    ///
    /// When a blob is missing or invalid, or the directory cannot be filled.
    pub fn unpack(&self, image: &Image) -> Result<Vec<PathBuf>, UnpackError> {
        let mut lowers: Vec<PathBuf> = Vec::new();
        for layer in image.layers() {
            let path = self.unpacked_path(&layer.chain_id);
            if !path.exists() {
                self.unpack_layer(&layer, &lowers)?;
            }
            lowers.insert(0, path);
        }
        Ok(lowers)
    }

    /// Unpacks one layer over those in `lowers`, the uppermost first, unless it is there. While
    /// another process does the same, it waits.
    ///
    /// # Errors
    ///
    /// When its blob is missing or invalid, or the directory cannot be filled.
    pub fn unpack_layer(&self, layer: &Layer, lowers: &[PathBuf]) -> Result<(), UnpackError> {
        let target = self.unpacked_path(&layer.chain_id);
        let name = layer.chain_id.hex();
        let lock = self.path().join(format!("ingest/unpack-{name}.lock"));
        let held = Lock::exclusive(&lock)?;
        if target.exists() {
            return Ok(());
        }
        let temporary = self.path().join(format!("unpacked/.new-{name}"));
        remove(&temporary)?; // of somebody who was killed
        let result = self
            .fill(layer, lowers, &temporary)
            .and_then(|()| fs::rename(&temporary, &target).map_err(io("rename", &temporary)));
        if result.is_err() {
            let _ = remove(&temporary);
        }
        // Whoever waits has it open, finds the directory, and goes on.
        let _ = fs::remove_file(&lock);
        drop(held);
        result
    }

    fn fill(&self, layer: &Layer, lowers: &[PathBuf], directory: &Path) -> Result<(), UnpackError> {
        let digest = manifest::digest_of(&layer.descriptor).map_err(StoreError::from)?;
        manifest::layer_compression(&layer.descriptor).map_err(StoreError::from)?;
        let blob = self.blob(&digest)?;
        let missing = || StoreError::NoBlob { what: "layer", digest: digest.clone() };
        let blob = blob.ok_or_else(missing)?;
        DirBuilder::new().mode(0o755).create(directory).map_err(io("create", directory))?;
        let open = |path: &Path| File::open(path).map_err(io("open", path));
        let root = open(directory)?;
        let lowers = lowers.iter().map(|path| open(path)).collect::<Result<Vec<File>, _>>()?;
        let failed = |source| UnpackError::Layer { layer: digest.clone(), source };
        let decoder = compression::decoder(blob.file, &compression::Limits::default())
            .map_err(|source| failed(source.into()))?;
        let mut archive = HashingReader::new(layer.diff_id.algorithm(), decoder);
        let options = ApplyOptions { lowers: &lowers, ..ApplyOptions::default() };
        layer::apply(&mut archive, root.as_fd(), &options).map_err(failed)?;
        // What follows the archive's end belongs to the digest too.
        io::copy(&mut archive, &mut io::sink()).map_err(|source| failed(source.into()))?;
        let found = archive.finish();
        match found == layer.diff_id {
            true => Ok(()),
            false => {
                Err(UnpackError::DiffId { layer: digest, expected: layer.diff_id.clone(), found })
            }
        }
    }
}

/// What is in an unpacked layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// Files, links and device nodes.
    pub files: u64,
    /// Directories below its own.
    pub directories: u64,
    /// Names of lower layers that it hides.
    pub whiteouts: u64,
    /// The bytes of its files.
    pub bytes: u64,
}

impl Contents {
    /// Counts what is in the directory of a layer.
    ///
    /// # Errors
    ///
    /// When a directory in it cannot be read.
    pub fn of(layer: &Path) -> io::Result<Self> {
        let mut contents = Self::default();
        contents.add(layer)?;
        Ok(contents)
    }

    fn add(&mut self, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // Of the entry itself: no link is followed.
            let about = entry.metadata()?;
            if about.is_dir() {
                self.directories += 1;
                self.add(&entry.path())?;
            } else if about.file_type().is_char_device() && about.rdev() == 0 {
                self.whiteouts += 1;
            } else {
                self.files += 1;
                self.bytes += if about.is_file() { about.len() } else { 0 };
            }
        }
        Ok(())
    }
}

/// Removes a directory that is not yet a layer: as deep as its archive has made it.
fn remove(path: &Path) -> Result<(), UnpackError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let folder = File::open(folder).map_err(io("open", folder))?;
    layer::remove::remove(folder.as_fd(), name.as_bytes()).map_err(io("remove", path))
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> UnpackError + use<> {
    let path = path.to_owned();
    move |source| UnpackError::Io { action, path, source }
}
