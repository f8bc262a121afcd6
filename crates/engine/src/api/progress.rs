//! Work on images on a thread of its own, and responses that go on while it does.

use std::{
    io,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode},
};
use serde_json::Value;
use tokio::sync::oneshot;

use super::response::{ChannelBody, line, of_type};
use crate::{
    error::{ApiError, Result},
    images::{
        ImageError,
        progress::{Lines, error_line},
    },
};

/// How long nothing may be sent: only who sends learns that the client is gone, because one that has
/// sent all and closes its end may still read.
const SILENCE: Duration = Duration::from_secs(5);

/// The response to what has failed.
pub(super) fn refused(error: &ImageError) -> ApiError {
    let status = StatusCode::from_u16(error.status());
    ApiError::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.to_string())
}

/// Does `work`, which reads and writes files, where it holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::of(&error))?
}

/// Does `work`, whose lines are the response. Its failure before the first line is the response's
/// status, and after it the last line.
pub(super) async fn lines(
    work: impl FnOnce(&mut Lines<'_>) -> Result<(), ImageError> + Send + 'static,
) -> Result<Response<Body>> {
    let (sender, body) = ChannelBody::pair();
    let (started, start) = oneshot::channel();
    let mut started = Some(started);
    tokio::task::spawn_blocking(move || {
        let mut begin = |result: Result<()>| match started.take() {
            Some(started) => started.send(result).is_ok(),
            None => false,
        };
        let mut last = Instant::now();
        let mut send = |value: Value| {
            let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
            if sender.is_closed() {
                return Err(gone());
            }
            let piece = match value {
                Value::Null if last.elapsed() < SILENCE => return Ok(()),
                // Between two values of JSON.
                Value::Null => Bytes::from_static(b" "),
                value => line(&value),
            };
            begin(Ok(()));
            last = Instant::now();
            sender.blocking_send(piece).map_err(|_| gone())
        };
        let result = work(&mut send);
        let Err(error) = result else {
            begin(Ok(()));
            return;
        };
        if !begin(Err(refused(&error))) {
            // It fails only if the client is gone.
            let _ = sender.blocking_send(line(&error_line(&error)));
        }
    });
    start.await.map_err(|_| ApiError::internal("the work has ended without a result"))??;
    Ok(of_type(StatusCode::OK, "application/json", body))
}
