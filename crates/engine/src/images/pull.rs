//! `docker pull`: an image from a registry, its layers unpacked while others arrive.
//!
//! Source: moby, distribution/pull_v2.go and distribution/errors.go.

use std::{collections::HashMap, path::PathBuf, thread};

use image::{
    manifest::{ManifestError, Platform},
    reference::Reference,
    store::Store,
    unpacked::UnpackError,
};
use oci_spec::image::Descriptor;
use registry::client::{Client, ClientError, Failure};
use serde_json::Value;

use super::{
    error::{ImageError, Result},
    names::is_name_only,
    progress::{Lines, layer, layer_at, send, status, status_of},
    registries::{Registries, RegistryAuth, of_registry},
    transfer::{LayerTransfer, Snapshot, Stage, Transfer},
};

/// What is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// The name: `fromImage`.
    pub image: String,
    /// A tag or a digest; empty if the name has it, or for all tags of the repository.
    pub tag: String,
    /// `linux/arm64`; empty for this host's.
    pub platform: String,
    /// What the registry is shown.
    pub auth: RegistryAuth,
}

/// Pulls it. Nothing is sent before the registry has the image, so that an error can still be the
/// response's status.
///
/// # Errors
///
/// 400 for what is not a name, 404 when the registry has no such image, and when it cannot be pulled.
pub fn pull(
    store: &Store,
    registries: &Registries,
    request: &PullRequest,
    lines: &mut Lines<'_>,
) -> Result<()> {
    let platform = platform(&request.platform)?;
    let (reference, all_tags) = reference(&request.image, &request.tag)?;
    let client = registries.client(reference.registry(), &request.auth);
    if !all_tags {
        return one(store, &client, &reference, &platform, lines);
    }
    let tags = client.tags(&reference).map_err(|error| refused(&error, &reference))?;
    if tags.is_empty() {
        let text = format!("repository {} has no tags", reference.familiar_name());
        return Err(ImageError::NotFound(text));
    }
    for tag in tags {
        one(store, &client, &reference.with_tag(&tag)?, &platform, lines)?;
    }
    Ok(())
}

/// The platform that a query names; this host's for none.
///
/// # Errors
///
/// 400 when it is not one.
pub fn platform(text: &str) -> Result<Platform> {
    match text {
        "" => Ok(Platform::host()),
        text => text.parse().map_err(|why| ImageError::Invalid(format!("\"{text}\": {why}"))),
    }
}

/// What `image` and `tag` name, and whether they mean all tags.
fn reference(image: &str, tag: &str) -> Result<(Reference, bool)> {
    let reference: Reference = image.parse()?;
    if tag.is_empty() {
        return Ok((reference, is_name_only(image)));
    }
    let reference = match tag.contains(':') {
        true => {
            let invalid = |_| ImageError::Invalid("invalid reference format".into());
            reference.with_digest(tag.parse().map_err(invalid)?)
        }
        false => reference.with_tag(tag)?,
    };
    Ok((reference, false))
}

fn one(
    store: &Store,
    client: &Client,
    reference: &Reference,
    platform: &Platform,
    lines: &mut Lines<'_>,
) -> Result<()> {
    let before = store.find(reference)?;
    let transfer = Transfer::new(Some(store));
    let mut reported = PullLines { reference, lines, began: false, layers: HashMap::new() };
    let work = || {
        thread::scope(|scope| {
            let unpacker = scope.spawn(|| unpack(store, &transfer));
            let pulled = client.pull(store, reference, platform, &transfer);
            transfer.end_of_transfer();
            let unpacked = unpacker.join().unwrap_or_else(|_| {
                let text = "a layer cannot be unpacked: it panicked";
                Err(ImageError::Failed(text.into()))
            });
            (pulled, unpacked)
        })
    };
    let (pulled, unpacked) = transfer.watch(work, |snapshot| reported.tell(snapshot))?;
    let descriptor = pulled.map_err(|error| refused(&error, reference))?;
    if let Err(error) = unpacked {
        rename_back(store, reference, before.as_ref())?;
        return Err(error);
    }
    reported.end(&descriptor, before.as_ref())
}

/// Unpacks the layers in their order, each once it has arrived.
fn unpack(store: &Store, transfer: &Transfer<'_>) -> Result<()> {
    let mut lowers: Vec<PathBuf> = Vec::new();
    let mut index = 0;
    while let Some(layer) = transfer.arrived(index) {
        let path = store.unpacked_path(&layer.chain_id);
        if !path.exists() {
            transfer.set_stage(index, Stage::Extracting);
            store.unpack_layer(&layer, &lowers).map_err(not_unpacked)?;
        }
        transfer.set_stage(index, Stage::Complete);
        lowers.insert(0, path);
        index += 1;
    }
    Ok(())
}

fn not_unpacked(error: UnpackError) -> ImageError {
    let ImageError::Failed(why) = ImageError::from(error) else {
        return ImageError::Failed("failed to register layer".into());
    };
    ImageError::Failed(format!("failed to register layer: {why}"))
}

/// An image whose layers cannot be unpacked has no name: a container of it could not be made.
fn rename_back(store: &Store, reference: &Reference, before: Option<&Descriptor>) -> Result<()> {
    match before {
        Some(descriptor) => store.tag(reference, descriptor)?,
        None => drop(store.untag(reference)?),
    }
    Ok(())
}

/// The failure of a pull in dockerd's words.
fn refused(error: &ClientError, reference: &Reference) -> ImageError {
    let name = reference.familiar();
    match &*error.failure {
        Failure::NotFound { .. } => ImageError::NotFound(format!(
            "manifest for {name} not found: manifest unknown: manifest unknown"
        )),
        Failure::LoginNeeded { .. } | Failure::Denied { .. } => ImageError::NotFound(format!(
            "pull access denied for {}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            reference.familiar_name()
        )),
        Failure::Manifest(ManifestError::Platform { platform, found }) => {
            ImageError::NotFound(format!(
                "no matching manifest for {platform} in the manifest list entries: there is {found}"
            ))
        }
        other => of_registry(other),
    }
}

/// What was reported to the client of the API.
struct PullLines<'a, 'l> {
    reference: &'a Reference,
    lines: &'a mut Lines<'l>,
    began: bool,
    /// Of each layer by its id: the last stage, and how many bytes.
    layers: HashMap<String, (Stage, u64)>,
}

impl PullLines<'_, '_> {
    fn tell(&mut self, snapshot: &Snapshot) -> Result<()> {
        if !snapshot.has_image {
            return send(self.lines, Value::Null);
        }
        self.begin()?;
        // Of an image that is up to date, layers are not listed.
        if snapshot.layers.iter().all(|layer| layer.existed) {
            return send(self.lines, Value::Null);
        }
        snapshot.layers.iter().try_for_each(|layer| self.layer(layer))
    }

    fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.began, true) {
            return Ok(());
        }
        let text = format!("Pulling from {}", self.reference.repository());
        send(self.lines, status_of(text, &self.reference.identifier()))
    }

    fn layer(&mut self, now: &LayerTransfer) -> Result<()> {
        let id = &now.id;
        let last = self.layers.insert(id.clone(), (now.stage, now.position));
        if now.existed {
            return match last {
                Some(_) => Ok(()),
                None => send(self.lines, layer("Already exists", id)),
            };
        }
        let (reported, bytes) = match last {
            Some(last) => last,
            None => {
                send(self.lines, layer("Pulling fs layer", id))?;
                (Stage::Waiting, 0)
            }
        };
        if now.stage == Stage::Transferring && (reported < now.stage || bytes != now.position) {
            send(self.lines, layer_at("Downloading", id, now.position, now.total))?;
        }
        let passed = |stage: Stage| reported < stage && now.stage >= stage;
        if passed(Stage::Transferred) {
            send(self.lines, layer("Download complete", id))?;
        }
        if passed(Stage::Extracting) {
            send(self.lines, layer_at("Extracting", id, now.total, now.total))?;
        }
        if passed(Stage::Complete) {
            send(self.lines, layer("Pull complete", id))?;
        }
        Ok(())
    }

    fn end(&mut self, descriptor: &Descriptor, before: Option<&Descriptor>) -> Result<()> {
        self.begin()?;
        send(self.lines, status(format!("Digest: {}", descriptor.digest())))?;
        let same = before.is_some_and(|before| before.digest() == descriptor.digest());
        let what = match same && self.layers.is_empty() {
            true => "Image is up to date for",
            false => "Downloaded newer image for",
        };
        send(self.lines, status(format!("Status: {what} {}", self.reference.familiar())))
    }
}
