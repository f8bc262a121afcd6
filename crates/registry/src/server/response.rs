//! Responses and their headers.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};

/// A response with JSON in it.
pub(super) fn json_response(media_type: &str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    set(&mut response, header::CONTENT_TYPE, media_type);
    response
}

/// Sets a header of a response. What cannot be one is left out.
pub(super) fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// `Docker-Content-Digest`.
pub(super) const DIGEST: header::HeaderName =
    header::HeaderName::from_static("docker-content-digest");
