//! `docker push`: an image, or all tags of a repository, to a registry.
//!
//! Source: moby, distribution/push.go and distribution/push_v2.go.

use std::collections::HashMap;

use image::{reference::Reference, store::Store};
use registry::client::{Client, ClientError, Failure};
use serde_json::{Value, json};

use super::{
    error::{ImageError, Result},
    names::is_name_only,
    progress::{Lines, layer, layer_at, send, status},
    registries::{Registries, RegistryAuth, of_registry},
    transfer::{LayerTransfer, Stage, Transfer},
};

/// What is pushed.
#[derive(Debug, Clone, Default)]
pub struct PushRequest {
    /// The name, which begins with its registry.
    pub name: String,
    /// The tag; empty for all tags of the repository, unless the name has one.
    pub tag: String,
    /// What the registry is shown.
    pub auth: RegistryAuth,
}

/// Pushes it.
///
/// # Errors
///
/// 400 for what is not a name; and, once the response has begun, when the store has no such image, or
/// the registry does not take it.
pub fn push(
    store: &Store,
    registries: &Registries,
    request: &PushRequest,
    lines: &mut Lines<'_>,
) -> Result<()> {
    let name: Reference = request.name.parse()?;
    let repository = name.name();
    let only = match &*request.tag {
        "" if is_name_only(&request.name) => None,
        "" => Some(name.clone()),
        tag => Some(name.with_tag(tag)?),
    };
    let client = registries.client(name.registry(), &request.auth);
    send(lines, status(format!("The push refers to repository [{repository}]")))?;
    let tagged = store.references()?.into_iter().map(|(known, _)| known);
    let tagged = tagged.filter(|known| known.name() == repository && known.digest().is_none());
    let tagged: Vec<Reference> = tagged.collect();
    if tagged.is_empty() && only.as_ref().is_none_or(|only| only.digest().is_none()) {
        return Err(ImageError::NotFound(format!(
            "An image does not exist locally with the tag: {}",
            name.familiar_name()
        )));
    }
    let all = match only {
        None => tagged,
        Some(only) if store.find(&only)?.is_some() => vec![only],
        Some(only) => {
            let text = format!("tag does not exist: {}", only.familiar());
            return Err(ImageError::NotFound(text));
        }
    };
    all.iter().try_for_each(|reference| one(store, &client, reference, lines))
}

fn one(store: &Store, client: &Client, reference: &Reference, lines: &mut Lines<'_>) -> Result<()> {
    let transfer = Transfer::new(None);
    let mut reported = HashMap::new();
    let work = || client.push(store, reference, &transfer);
    let pushed = transfer.watch(work, |snapshot| {
        send(lines, Value::Null)?;
        // As docker, the uppermost first.
        snapshot.layers.iter().rev().try_for_each(|layer| tell(layer, &mut reported, lines))
    })?;
    let descriptor = pushed.map_err(|error| refused(&error))?;
    let (tag, size) = (reference.identifier(), descriptor.size());
    let digest = descriptor.digest().to_string();
    send(lines, status(format!("{tag}: digest: {digest} size: {size}")))?;
    let aux = json!({ "Tag": tag, "Digest": digest, "Size": size });
    send(lines, json!({ "progressDetail": {}, "aux": aux }))
}

/// Tells what has changed since `reported`.
fn tell(
    now: &LayerTransfer,
    reported: &mut HashMap<String, (Stage, u64)>,
    lines: &mut Lines<'_>,
) -> Result<()> {
    let id = &now.id;
    let (last, bytes) = match reported.insert(id.clone(), (now.stage, now.position)) {
        Some(last) => last,
        None => {
            send(lines, layer("Preparing", id))?;
            (Stage::Waiting, 0)
        }
    };
    if now.stage == Stage::Transferring && bytes != now.position {
        send(lines, layer_at("Pushing", id, now.position, now.total))?;
    }
    if last < Stage::Transferred && now.stage >= Stage::Transferred {
        let text = match (now.existed, now.mounted) {
            (true, _) => "Layer already exists",
            (_, true) => "Mounted from another repository",
            _ => "Pushed",
        };
        send(lines, layer(text, id))?;
    }
    Ok(())
}

/// The failure of a push in dockerd's words.
fn refused(error: &ClientError) -> ImageError {
    match &*error.failure {
        Failure::LoginNeeded { .. } => {
            ImageError::Unauthorized("unauthorized: authentication required".into())
        }
        Failure::Denied { .. } => {
            ImageError::Unauthorized("denied: requested access to the resource is denied".into())
        }
        other => of_registry(other),
    }
}
