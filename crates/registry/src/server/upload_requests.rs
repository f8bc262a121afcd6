//! Requests that push a blob: at once, in pieces, or by naming a repository that has it.

use std::sync::Mutex;

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use image::{digest::Digest, reference::is_repository};

use super::{
    blobs::accepted,
    body,
    error::ApiError,
    response::{DIGEST, set},
    route::query as value_of,
    state::Registry,
    storage::Storage,
    uploads::{Upload, Uploads, lock},
};

pub(super) async fn begin(
    registry: &Registry,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response<Body>, ApiError> {
    if let Some(digest) = value_of(query, "mount") {
        let digest: Digest = digest.parse().map_err(|_| ApiError::digest("invalid digest"))?;
        let from = value_of(query, "from").filter(|from| is_repository(from));
        // Without `from`, or if that one does not have it, the blob is pushed as any other.
        if let Some(from) = from
            && registry.storage.mount(name, &from, &digest)?
        {
            return Ok(created(name, &digest));
        }
    }
    let id = registry.storage.uploads.begin(name)?;
    match value_of(query, "digest") {
        Some(_) => {
            // Nobody is told its name before it is whole, so nobody can go on with it.
            let _ended = EndedOnDrop { uploads: &registry.storage.uploads, id: &id };
            finish(registry, name, &id, query, headers, body).await
        }
        None => {
            let mut response = accepted();
            describe(&mut response, name, &id, 0);
            let chunk = header::HeaderName::from_static("oci-chunk-min-length");
            set(&mut response, chunk, "1");
            Ok(response)
        }
    }
}

/// Ends an upload also if the client hangs up, and the request is dropped where it waits.
struct EndedOnDrop<'a> {
    uploads: &'a Uploads,
    id: &'a str,
}

impl Drop for EndedOnDrop<'_> {
    fn drop(&mut self) {
        self.uploads.end(self.id);
    }
}

pub(super) async fn append(
    registry: &Registry,
    name: &str,
    id: &str,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response<Body>, ApiError> {
    let upload = registry.storage.uploads.find(name, id)?;
    receive(registry, name, id, &upload, headers, body).await?;
    let mut response = accepted();
    describe(&mut response, name, id, lock(&upload).offset());
    Ok(response)
}

pub(super) async fn finish(
    registry: &Registry,
    name: &str,
    id: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response<Body>, ApiError> {
    let digest =
        value_of(query, "digest").ok_or_else(|| ApiError::digest("no digest was given"))?;
    let digest: Digest = digest.parse().map_err(|_| ApiError::digest("invalid digest"))?;
    let Storage { uploads, .. } = &registry.storage;
    let upload = uploads.find(name, id)?;
    receive(registry, name, id, &upload, headers, body).await?;
    let keep = |path: &str, length| registry.storage.keep(name, path, &digest, length);
    tokio::task::block_in_place(|| uploads.finish(id, &upload, &digest, keep))?;
    Ok(created(name, &digest))
}

pub(super) fn status(
    registry: &Registry,
    name: &str,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let upload = registry.storage.uploads.find(name, id)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    describe(&mut response, name, id, lock(&upload).offset());
    Ok(response)
}

pub(super) fn cancel(
    registry: &Registry,
    name: &str,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    registry.storage.uploads.find(name, id)?;
    registry.storage.uploads.end(id);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Takes the bytes of one request. What was taken stays if the connection breaks, and the client can
/// go on; it is discarded if there is no room for more, or it cannot be written.
async fn receive(
    registry: &Registry,
    name: &str,
    id: &str,
    upload: &Mutex<Upload>,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<(), ApiError> {
    let Storage { uploads, quota, .. } = &registry.storage;
    let start = content_range(headers)?;
    let mut expected = lock(upload).offset();
    if start.is_some_and(|start| start != expected) {
        return Err(out_of_order(name, id, expected));
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let declared: u64 = declared.and_then(|length| length.parse().ok()).unwrap_or(0);
    let end = |_: &ApiError| uploads.end(id);
    ensure_fits(registry, expected.saturating_add(declared))
        .and_then(|()| quota.ensure_room(declared))
        .inspect_err(end)?;
    let file = uploads.file(id).inspect_err(end)?;
    while let Some(bytes) = body::next(body, registry.options.idle).await? {
        let after = expected.saturating_add(bytes.len() as u64);
        ensure_fits(registry, after).inspect_err(end)?;
        tokio::task::block_in_place(|| {
            let mut guard = lock(upload);
            // Another request for the same upload has written meanwhile.
            if guard.offset() != expected {
                return Err(out_of_order(name, id, guard.offset()));
            }
            let pushed = uploads.push(&mut guard, &file, &bytes);
            drop(guard);
            pushed.inspect_err(end)
        })?;
        expected = after;
    }
    Ok(())
}

/// Refuses a blob that is larger than any may be.
fn ensure_fits(registry: &Registry, bytes: u64) -> Result<(), ApiError> {
    let most = registry.options.max_blob;
    match bytes > most {
        true => Err(ApiError::too_large(format!("a blob may have {most} bytes here"))),
        false => Ok(()),
    }
}

fn out_of_order(name: &str, id: &str, offset: u64) -> ApiError {
    let message = format!("the next byte of this upload is {offset}");
    ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
        .with(header::RANGE, range(offset))
        .with(header::LOCATION, location(name, id))
}

/// The first byte of a chunk: `Content-Range: 100-199`.
fn content_range(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let invalid = || {
        let message = "Content-Range is not FIRST-LAST";
        ApiError::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    };
    let text = value.to_str().map_err(|_| invalid())?.trim_start_matches("bytes ");
    let (first, last) = text.split_once('-').ok_or_else(invalid)?;
    let last = last.split('/').next().unwrap_or(last);
    let (first, last) = (first.parse::<u64>(), last.parse::<u64>());
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last => Ok(Some(first)),
        _ => Err(invalid()),
    }
}

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The bytes that are there: the specification has no way to say "none".
fn range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

fn describe(response: &mut Response<Body>, name: &str, id: &str, offset: u64) {
    set(response, header::LOCATION, &location(name, id));
    set(response, header::RANGE, &range(offset));
    set(response, header::HeaderName::from_static("docker-upload-uuid"), id);
}

fn created(name: &str, digest: &Digest) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    set(&mut response, header::LOCATION, &format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, DIGEST, &digest.to_string());
    set(&mut response, header::CONTENT_LENGTH, "0");
    response
}
