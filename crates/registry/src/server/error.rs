//! Errors in the specification's form: a code for programs, a message for people.
//!
//! Source: OCI distribution specification 1.1, "Error Codes".

use std::io;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::json;

use super::route::RouteError;

/// What is answered instead.
#[derive(Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The specification's code.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// Headers beside it.
    pub headers: Vec<(header::HeaderName, String)>,
    /// For the operator's log: what went wrong on this host is not the client's to know.
    pub cause: Option<String>,
}

impl ApiError {
    /// An error with this status, code and message.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new(), cause: None }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a cause that only the log says.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Whether it says that something is not there.
    pub fn is_unknown(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// `unknown` in place of this error, if it says the same of something else.
    #[must_use]
    pub fn or_unknown(self, unknown: Self) -> Self {
        match self.is_unknown() {
            true => Self { cause: self.cause, ..unknown },
            false => self,
        }
    }

    /// The repository has no such manifest.
    pub fn manifest_unknown(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("no manifest {name}"))
    }

    /// The repository has no such blob.
    pub fn blob_unknown(digest: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            format!("no blob {digest} in this repository"),
        )
    }

    /// The repository has no such upload.
    pub fn upload_unknown() -> Self {
        let message = "no such upload: it was finished, cancelled, or has expired";
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message)
    }

    /// A digest that is none, or not that of the bytes.
    pub fn digest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    /// A blob that a manifest needs. Where blobs cannot be deleted, the specification answers with
    /// 405.
    pub fn needed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    /// More than there may be.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    }

    /// The method means nothing here.
    pub fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this method means nothing here")
    }

    /// As a response.
    pub fn response(self) -> Response<Body> {
        let error = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        let mut response = Response::new(Body::from(error.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        match error {
            RouteError::Unknown => {
                Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such endpoint")
            }
            RouteError::Name => Self::new(bad, "NAME_INVALID", "invalid repository name"),
            RouteError::Digest => Self::digest("invalid digest"),
            RouteError::Tag => Self::new(bad, "TAG_INVALID", "invalid tag"),
        }
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        let failed = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "DENIED", "the registry's disk is full")
            }
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                "the registry's storage failed: its log says why",
            ),
        };
        failed.because(error.to_string())
    }
}
