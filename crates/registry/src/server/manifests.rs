//! Manifests: pushed, pulled and deleted, by tag or by digest.

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use image::{
    digest::{Digest, Digester},
    manifest::MAX_BYTES,
};

use super::{
    blobs::{accepted, is_known},
    body,
    error::ApiError,
    response::{DIGEST, set},
    route::ManifestName,
    shape::{Shape, Target},
    state::Registry,
    storage::{LONGEST_MEDIA_TYPE, Storage, StoredManifest},
};

fn resolve(registry: &Registry, name: &str, which: &ManifestName) -> Result<Digest, ApiError> {
    match which {
        ManifestName::Digest(digest) => Ok(digest.clone()),
        ManifestName::Tag(tag) => {
            let found = registry.storage.tag(name, tag)?;
            if found.is_none() && !registry.storage.exists(name) {
                let message = format!("no repository {name}");
                return Err(ApiError::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message));
            }
            found.ok_or_else(|| ApiError::manifest_unknown(&format!("{name}:{tag}")))
        }
    }
}

pub(super) fn get(
    registry: &Registry,
    name: &str,
    which: &ManifestName,
    headers: &HeaderMap,
    head: bool,
) -> Result<Response<Body>, ApiError> {
    let digest = resolve(registry, name, which)?;
    let manifest = registry.storage.manifest(name, &digest)?;
    let etag = format!("\"{digest}\"");
    let mut response = match is_known(headers, &etag) {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => {
            let length = manifest.bytes.len().to_string();
            let body = if head { Body::empty() } else { Body::from(manifest.bytes) };
            let mut response = Response::new(body);
            set(&mut response, header::CONTENT_LENGTH, &length);
            set(&mut response, header::CONTENT_TYPE, &manifest.media_type);
            response
        }
    };
    set(&mut response, header::ETAG, &etag);
    set(&mut response, DIGEST, &digest.to_string());
    Ok(response)
}

pub(super) async fn put(
    registry: &Registry,
    name: &str,
    which: &ManifestName,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response<Body>, ApiError> {
    let bytes = body::whole(body, MAX_BYTES, registry.options.idle).await?;
    let invalid =
        |message: String| ApiError::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message);
    let shape =
        Shape::read(&bytes).map_err(|error| invalid(format!("invalid manifest: {error}")))?;
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let media_type = given.or(shape.media_type.as_deref()).unwrap_or_default().to_owned();
    if media_type.is_empty() {
        return Err(invalid("neither Content-Type nor mediaType says what it is".into()));
    }
    if media_type.len() > LONGEST_MEDIA_TYPE {
        let message = format!("a media type has at most {LONGEST_MEDIA_TYPE} characters");
        return Err(invalid(message));
    }
    if shape.media_type.as_ref().is_some_and(|own| *own != media_type) {
        return Err(invalid(format!("its mediaType is not its Content-Type, {media_type}")));
    }
    let (digest, tag) = match which {
        ManifestName::Tag(tag) => (Digest::of(&bytes), Some(tag.as_str())),
        ManifestName::Digest(digest) => {
            let mut digester = Digester::new(digest.algorithm());
            digester.update(&bytes);
            if digester.finish() != *digest {
                return Err(ApiError::digest(format!("the bytes are not {digest}")));
            }
            (digest.clone(), None)
        }
    };
    let manifest = StoredManifest { digest: digest.clone(), media_type, bytes };
    tokio::task::block_in_place(|| keep(&registry.storage, name, &shape, &manifest, tag))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    set(&mut response, header::LOCATION, &format!("/v2/{name}/manifests/{digest}"));
    set(&mut response, DIGEST, &digest.to_string());
    set(&mut response, header::CONTENT_LENGTH, "0");
    if let Some(subject) = &shape.subject {
        let name = header::HeaderName::from_static("oci-subject");
        set(&mut response, name, &subject.digest.to_string());
    }
    Ok(response)
}

/// Keeps a manifest if all that it needs is there, between which and keeping it nothing is removed.
fn keep(
    storage: &Storage,
    name: &str,
    shape: &Shape,
    manifest: &StoredManifest,
    tag: Option<&str>,
) -> Result<(), ApiError> {
    let _shared = storage.shared();
    for target in shape.blobs() {
        ensure_size(target, storage.blob_length(name, &target.digest)?)?;
    }
    for target in &shape.manifests {
        ensure_size(target, storage.manifest_length(name, &target.digest)?)?;
    }
    storage.keep_manifest(name, manifest, tag)
}

/// Refuses a descriptor of what is missing, or has another length.
fn ensure_size(target: &Target, found: Option<u64>) -> Result<(), ApiError> {
    let Target { digest, size, .. } = target;
    let refused = |code, message| Err(ApiError::new(StatusCode::BAD_REQUEST, code, message));
    match found {
        None => {
            let message = format!("{digest} is not in this repository: push it first");
            refused("MANIFEST_BLOB_UNKNOWN", message)
        }
        Some(length) if length != *size => {
            let message = format!("{digest} has {length} bytes, and the manifest says {size}");
            refused("SIZE_INVALID", message)
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn delete(
    registry: &Registry,
    name: &str,
    which: &ManifestName,
) -> Result<Response<Body>, ApiError> {
    let (deleted, what) = match which {
        ManifestName::Tag(tag) => (registry.storage.delete_tag(name, tag)?, tag.clone()),
        ManifestName::Digest(digest) => {
            (registry.storage.delete_manifest(name, digest)?, digest.to_string())
        }
    };
    if deleted { Ok(accepted()) } else { Err(ApiError::manifest_unknown(&what)) }
}
