//! What clients are told when something fails: a status and a sentence, as dockerd gives them.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};

/// The answer to a request that failed: `{"message": ".."}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP's status.
    pub status: StatusCode,
    /// What failed, for a person.
    pub message: String,
}

/// The result of a request.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// An error of that status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400: the request cannot be understood.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403: it is understood and not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: what it names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409: the state of what it names does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 500: the engine or the kernel failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 500: `action` failed, and why.
    pub fn failed(action: &str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::internal(format!("{action}: {error}"))
    }

    /// 500, with all causes of `error`.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::internal(chain(error))
    }

    /// As a response.
    pub fn response(&self) -> Response<Body> {
        let body = serde_json::json!({ "message": self.message }).to_string() + "\n";
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

/// An error with all its causes, on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    sandbox::chain(error)
}
