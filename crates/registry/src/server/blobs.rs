//! Blobs: pulled whole or in part, and deleted.

use std::io::{Seek as _, SeekFrom};

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use image::digest::Digest;

use super::{
    body::FileBody,
    error::ApiError,
    response::{DIGEST, set},
    state::Registry,
};

pub(super) fn get(
    registry: &Registry,
    name: &str,
    digest: &Digest,
    headers: &HeaderMap,
    head: bool,
) -> Result<Response<Body>, ApiError> {
    let storage = &registry.storage;
    // Whoever asks by HEAD will not push it, and name it in a manifest.
    let found = if head { storage.rely_on_blob(name, digest) } else { storage.blob(name, digest) };
    let (mut file, length) = found?;
    let etag = format!("\"{digest}\"");
    if is_known(headers, &etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        set(&mut response, header::ETAG, &etag);
        return Ok(response);
    }
    let range = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) => range_of(range, length)?,
        None => None,
    };
    let (start, end) = range.unwrap_or((0, length));
    let body = match head {
        true => Body::empty(),
        false => {
            file.seek(SeekFrom::Start(start))?;
            Body::new(FileBody::new(file, end - start))
        }
    };
    let mut response = Response::new(body);
    set(&mut response, header::CONTENT_LENGTH, &(end - start).to_string());
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::ETAG, &etag);
    set(&mut response, DIGEST, &digest.to_string());
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {start}-{}/{length}", end - 1);
        set(&mut response, header::CONTENT_RANGE, &range);
    }
    Ok(response)
}

/// Whether the client has what it would get.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get(header::IF_NONE_MATCH).and_then(|given| given.to_str().ok());
    given.is_some_and(|given| {
        given
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == etag || tag == "*")
    })
}

/// The first byte and the one behind the last of a range (RFC 9110, 14.1.2). Several ranges, or
/// another unit, mean the whole.
fn range_of(text: &str, length: u64) -> Result<Option<(u64, u64)>, ApiError> {
    let Some(range) = text.strip_prefix("bytes=").filter(|range| !range.contains(',')) else {
        return Ok(None);
    };
    let Some((first, last)) = range.trim().split_once('-') else { return Ok(None) };
    let number = |digits: &str| digits.parse::<u64>().ok();
    let (start, end) = match (first, last) {
        ("", last) => match number(last) {
            Some(count) => (length.saturating_sub(count), length),
            None => return Ok(None),
        },
        (first, "") => match number(first) {
            Some(first) => (first, length),
            None => return Ok(None),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                (first, last.saturating_add(1).min(length))
            }
            _ => return Ok(None),
        },
    };
    if start >= end {
        let message = format!("the blob has {length} bytes");
        return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message)
            .with(header::CONTENT_RANGE, format!("bytes */{length}")));
    }
    Ok(Some((start, end)))
}

pub(super) fn delete(
    registry: &Registry,
    name: &str,
    digest: &Digest,
) -> Result<Response<Body>, ApiError> {
    match registry.storage.delete_blob(name, digest)? {
        true => Ok(accepted()),
        false => Err(ApiError::blob_unknown(&digest.to_string())),
    }
}

pub(super) fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    set(&mut response, header::CONTENT_LENGTH, "0");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_that_of_the_rfc() {
        for (text, range) in [
            ("bytes=0-9", Some((0, 10))),
            ("bytes=5-", Some((5, 100))),
            ("bytes=-10", Some((90, 100))),
            ("bytes=90-200", Some((90, 100))),
            ("bytes=-200", Some((0, 100))),
            ("bytes=9-5", None),
            ("bytes=0-1,5-6", None),
            ("lines=1-2", None),
            ("bytes=x-", None),
        ] {
            assert_eq!(range_of(text, 100).unwrap(), range, "{text}");
        }
        for text in ["bytes=100-", "bytes=200-300", "bytes=-0"] {
            assert_eq!(range_of(text, 100).unwrap_err().status, StatusCode::RANGE_NOT_SATISFIABLE);
        }
    }
}
