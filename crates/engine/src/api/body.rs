//! Bodies of requests that are JSON.

use axum::body::{Body, Bytes};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Result};

/// No such body is larger.
const MAX_BYTES: usize = 4 << 20;
/// How long a client may take to send it.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// All bytes of a body that cannot be long.
pub(super) async fn small(body: Body) -> Result<Bytes> {
    let read = tokio::time::timeout(LIMIT, axum::body::to_bytes(body, MAX_BYTES)).await;
    let read = read.map_err(|_| ApiError::invalid("the request's body did not end in time"))?;
    read.map_err(|_| {
        ApiError::invalid(format!(
            "the request's body was cut off, or is longer than {} MiB",
            MAX_BYTES >> 20
        ))
    })
}

/// The value of a body that is JSON. Unknown fields are ignored, as dockerd does.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T> {
    let bytes = small(body).await?;
    if bytes.is_empty() {
        return Err(ApiError::invalid("invalid JSON: got EOF while reading request body"));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}")))
}
