//! Pull: an image from a registry into the store.
//!
//! ```text
//!   manifest or index ─> the platform's manifest ─> config ─> layers, three at a time ─> name
//! ```
//!
//! The name is given last: an image that has one is whole.

use std::sync::atomic::{AtomicBool, Ordering};

use image::{
    config::ImageConfig,
    manifest::{
        self, DOCKER_CONFIG, Document, ManifestError, OCI_CONFIG, Platform, digest_of,
        layer_compression,
    },
    reference::Reference,
    store::{Store, StoreError, read_config},
};
use oci_spec::image::{Descriptor, ImageManifest};

use super::{
    Failure, Progress,
    download::Download,
    manifests::{self, Fetched},
    origins, parallel,
    progress::LayerState,
    session::Session,
};

/// An index may contain indexes, but not for ever.
const MAX_INDEXES: usize = 4;

/// What a pull needs at each step.
pub(super) struct Pull<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) store: &'a Store,
    pub(super) reference: &'a Reference,
    pub(super) platform: &'a Platform,
    pub(super) progress: &'a dyn Progress,
}

impl Pull<'_> {
    /// Returns what the reference names: a manifest or an index.
    pub(super) fn run(&self) -> Result<Descriptor, Failure> {
        let mut chain = vec![self.fetch(self.reference)?];
        let manifest = loop {
            let last = &chain[chain.len() - 1];
            match &last.document {
                Document::Manifest(manifest) => break (**manifest).clone(),
                Document::Index(index) => {
                    if chain.len() >= MAX_INDEXES {
                        return Err(StoreError::TooManyIndexes { most: MAX_INDEXES }.into());
                    }
                    let next = manifest::choose(index, self.platform)?;
                    let next = self.fetch_entry(next)?;
                    chain.push(next);
                }
            }
        };
        self.image(&manifest)?;
        // From below: what is there points to what is there.
        for fetched in chain.iter().rev() {
            fetched.keep(self.store)?;
        }
        let top = chain.swap_remove(0);
        let name = match self.reference.digest() {
            Some(digest) => self.reference.with_digest(digest.clone()),
            None => self.reference.clone(),
        };
        self.store.tag(&name, &top.descriptor)?;
        Ok(top.descriptor)
    }

    fn fetch(&self, reference: &Reference) -> Result<Fetched, Failure> {
        manifests::fetch(self.session, self.store, reference, self.progress)
    }

    /// What an index points to, of the digest, the size and the type that it says.
    fn fetch_entry(&self, entry: &Descriptor) -> Result<Fetched, Failure> {
        manifest::check_size("manifest", entry.size())?;
        let reference = self.reference.with_digest(digest_of(entry)?);
        let fetched = self.fetch(&reference)?;
        let (digest, found) = (fetched.digest.clone(), fetched.bytes.len() as u64);
        if found != entry.size() {
            let expected = entry.size();
            return Err(StoreError::WrongSize { digest, expected, found }.into());
        }
        let media_type = entry.media_type().to_string();
        Document::read(&fetched.bytes, Some(&media_type))?;
        Ok(Fetched { descriptor: manifest::descriptor(&media_type, &digest, found), ..fetched })
    }

    fn image(&self, manifest: &ImageManifest) -> Result<(), Failure> {
        // All that can be refused is refused before anything large arrives.
        for layer in manifest.layers() {
            layer_compression(layer)?;
            let most = self.session.transport().options().max_layer;
            if layer.size() > most {
                return Err(Failure::TooLarge { what: "layer", most });
            }
        }
        let config = self.config(manifest)?;
        self.progress.on_image(manifest, &config);
        self.layers(manifest.layers())
    }

    fn config(&self, manifest: &ImageManifest) -> Result<ImageConfig, Failure> {
        let at = manifest.config();
        let media_type = at.media_type().to_string();
        if ![DOCKER_CONFIG, OCI_CONFIG].contains(&&*media_type) {
            let media_type = media_type.chars().take(200).collect();
            let what = "the config: this is not an image that can be run".into();
            return Err(ManifestError::MediaType { what, media_type }.into());
        }
        manifest::check_size("image config", at.size())?;
        self.download(at, "image config", &|_| (), &|| self.progress.is_cancelled())?;
        let config = read_config(&self.store.read_small("image config", at)?, manifest)?;
        self.check_platform(&config)?;
        Ok(config)
    }

    fn check_platform(&self, config: &ImageConfig) -> Result<(), Failure> {
        let (wanted, cut) = (self.platform, |text: &str| text.chars().take(80).collect());
        let found = Platform {
            os: cut(&config.os),
            architecture: cut(&config.architecture),
            variant: cut(&config.variant),
        };
        let variant_fits = wanted.variant.is_empty()
            || found.variant.is_empty()
            || wanted.variant == found.variant;
        if wanted.os == found.os && wanted.architecture == found.architecture && variant_fits {
            return Ok(());
        }
        let (platform, found) = (wanted.clone(), found.to_string());
        Err(ManifestError::Platform { platform, found }.into())
    }

    fn layers(&self, layers: &[Descriptor]) -> Result<(), Failure> {
        for (index, layer) in layers.iter().enumerate() {
            self.progress.layer(index, &digest_of(layer)?, layer.size());
        }
        parallel::each(layers, |index, layer, is_stopped| self.layer(index, layer, is_stopped))
    }

    fn layer(
        &self,
        index: usize,
        layer: &Descriptor,
        is_stopped: &AtomicBool,
    ) -> Result<(), Failure> {
        let is_stopped = || is_stopped.load(Ordering::Relaxed) || self.progress.is_cancelled();
        if is_stopped() {
            return Err(Failure::Cancelled);
        }
        let digest = digest_of(layer)?;
        let was_there = self.store.blob(&digest)?.is_some();
        if !was_there {
            self.progress.state(index, LayerState::Transferring);
        }
        let position = |bytes| self.progress.position(index, bytes);
        self.download(layer, "layer", &position, &is_stopped)?;
        let state = if was_there { LayerState::Exists } else { LayerState::Done };
        self.progress.state(index, state);
        self.progress.on_layer(index, layer);
        origins::add(self.store, &digest, &self.reference.name());
        Ok(())
    }

    fn download(
        &self,
        at: &Descriptor,
        what: &'static str,
        position: &dyn Fn(u64),
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let digest = &digest_of(at)?;
        let Self { session, store, reference, progress, .. } = *self;
        let (repository, size) = (reference.repository(), at.size());
        let download = Download {
            session,
            store,
            repository,
            what,
            digest,
            size,
            progress,
            position,
            is_stopped,
        };
        download.run()
    }
}
