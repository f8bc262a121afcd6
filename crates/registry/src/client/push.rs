//! Push: an image from the store into a registry.
//!
//! ```text
//!   layers, three at a time ─> config ─> manifest ─> index, under the name
//! ```
//!
//! A registry refuses a manifest whose blobs it does not have, so what points comes after what it
//! points to.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use image::{
    digest::Digest,
    manifest::{Document, digest_of, layer_compression},
    reference::Reference,
    store::{Store, StoreError},
};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use ureq::http::{Method, StatusCode};

use super::{
    Failure, Progress,
    manifests::{self, Fetched},
    message::Request,
    parallel,
    progress::LayerState,
    retry::Retry,
    session::Session,
    upload::{Outcome, Upload},
};

/// An index may contain indexes, but not for ever.
const MAX_INDEXES: usize = 4;

/// What a push needs at each step.
pub(super) struct Push<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) store: &'a Store,
    pub(super) reference: &'a Reference,
    pub(super) scope: String,
    pub(super) progress: &'a dyn Progress,
}

/// The scope of who writes to `repository`.
pub(super) fn scope(repository: &str) -> String {
    format!("repository:{repository}:pull,push")
}

impl Push<'_> {
    /// Returns what the registry has under the name then.
    pub(super) fn run(&self) -> Result<Descriptor, Failure> {
        let found = self.store.find(self.reference)?;
        let no_image = || StoreError::NoImage { name: self.reference.familiar() };
        let mut top = manifests::in_store(self.store, &found.ok_or_else(no_image)?)?;
        if let Document::Index(index) = &top.document
            && let Some(only) = self.only_image(index)?
        {
            self.progress
                .note("the store has one of the index's images; it is pushed without the index");
            top = only;
        }
        self.send(&top, 0, &mut BTreeSet::new())?;
        let identifier = self.reference.identifier();
        // A digest that names the index does not name the image in it.
        let identifier = match self.reference.digest() {
            Some(_) => top.digest.to_string(),
            None => identifier,
        };
        self.put(&identifier, &top)?;
        Ok(top.descriptor)
    }

    /// Of an index that was pulled for one platform the others' images are missing. If the registry
    /// does not have them either, the image of the platform is what can be sent.
    fn only_image(&self, index: &ImageIndex) -> Result<Option<Fetched>, Failure> {
        let (mut there, mut is_complete) = (Vec::new(), true);
        for entry in index.manifests() {
            match self.store.blob(&digest_of(entry)?)? {
                Some(_) => there.push(entry),
                None => is_complete &= self.registry_has(entry)?,
            }
        }
        match &there[..] {
            _ if is_complete => Ok(None),
            [only] => Ok(Some(manifests::in_store(self.store, only)?)),
            _ => {
                let missing = index.manifests().iter().find(|entry| !there.contains(entry));
                let missing = missing.expect("the index is not complete");
                let (what, digest) = ("image of the index", digest_of(missing)?);
                Err(StoreError::NoBlob { what, digest }.into())
            }
        }
    }

    fn registry_has(&self, entry: &Descriptor) -> Result<bool, Failure> {
        let path = manifests::path(self.reference.repository(), &digest_of(entry)?.to_string());
        self.retrying(|| {
            let request = Request::new(Method::HEAD, self.session.url(&path));
            let response = self.session.send(request, &self.scope)?;
            match response.status {
                StatusCode::OK => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                _ => Err(self.session.rejected(response)),
            }
        })
    }

    /// Sends all that `fetched` points to, and adds the manifests to those that were `sent`: an index
    /// may name one many times.
    fn send(
        &self,
        fetched: &Fetched,
        depth: usize,
        sent: &mut BTreeSet<Digest>,
    ) -> Result<(), Failure> {
        let index = match &fetched.document {
            Document::Manifest(manifest) => return self.image(manifest),
            Document::Index(index) => index,
        };
        if depth >= MAX_INDEXES {
            return Err(StoreError::TooManyIndexes { most: MAX_INDEXES }.into());
        }
        for entry in index.manifests() {
            let digest = digest_of(entry)?;
            if self.store.blob(&digest)?.is_some() && sent.insert(digest) {
                let inner = manifests::in_store(self.store, entry)?;
                self.send(&inner, depth + 1, sent)?;
                self.put(&inner.digest.to_string(), &inner)?;
            }
        }
        Ok(())
    }

    fn image(&self, manifest: &ImageManifest) -> Result<(), Failure> {
        for (index, layer) in manifest.layers().iter().enumerate() {
            layer_compression(layer)?;
            self.progress.layer(index, &digest_of(layer)?, layer.size());
        }
        parallel::each(manifest.layers(), |index, layer, is_stopped| {
            self.layer(index, layer, is_stopped)
        })?;
        let is_stopped = || self.progress.is_cancelled();
        self.upload(manifest.config(), &|_| (), &is_stopped)?;
        Ok(())
    }

    fn layer(
        &self,
        index: usize,
        layer: &Descriptor,
        is_stopped: &AtomicBool,
    ) -> Result<(), Failure> {
        let is_stopped = || is_stopped.load(Ordering::Relaxed) || self.progress.is_cancelled();
        self.progress.state(index, LayerState::Transferring);
        let position = |bytes| self.progress.position(index, bytes);
        let state = match self.upload(layer, &position, &is_stopped)? {
            Outcome::Existed => LayerState::Exists,
            Outcome::Mounted => LayerState::Mounted,
            Outcome::Sent => LayerState::Done,
        };
        self.progress.state(index, state);
        Ok(())
    }

    fn upload(
        &self,
        at: &Descriptor,
        position: &dyn Fn(u64),
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Outcome, Failure> {
        let digest = &digest_of(at)?;
        let Self { session, store, reference: target, ref scope, progress } = *self;
        let size = at.size();
        let upload =
            Upload { session, store, target, scope, digest, size, progress, position, is_stopped };
        upload.run()
    }

    fn put(&self, identifier: &str, fetched: &Fetched) -> Result<(), Failure> {
        let repository = self.reference.repository();
        self.retrying(|| manifests::put(self.session, repository, identifier, fetched, &self.scope))
    }

    fn retrying<T>(&self, attempt: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut retry = Retry::new(self.session.transport().options().backoff);
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => retry.after(failure, self.progress)?,
            }
        }
    }
}
