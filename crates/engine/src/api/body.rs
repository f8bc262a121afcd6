//! Bodies of requests: JSON, which is short, and archives, which are not.

use std::{future::poll_fn, io, pin::Pin, time::Duration};

use axum::body::{Body, Bytes, HttpBody as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::error::{ApiError, Result};

/// No such body is larger.
const MAX_BYTES: usize = 4 << 20;
/// How long a client may take to send it.
const LIMIT: Duration = Duration::from_secs(30);

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

/// A body for a thread that reads: an archive, which can have any length. Nothing is read from the
/// client before the thread wants it.
pub(super) struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

/// How long a client may be silent in an archive.
const SILENCE: Duration = Duration::from_secs(300);

impl BodyReader {
    /// A reader of `body`, which must be made on the runtime.
    pub(super) fn new(mut body: Body) -> Self {
        let (sender, pieces) = mpsc::channel(2);
        tokio::spawn(async move {
            loop {
                let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
                let piece = match tokio::time::timeout(SILENCE, frame).await {
                    Ok(None) => return,
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(piece) => Ok(piece),
                        Err(_trailers) => continue,
                    },
                    Ok(Some(Err(error))) => Err(io::Error::other(error)),
                    Err(_) => Err(io::Error::other("the client sent nothing for too long")),
                };
                let is_over = piece.is_err();
                if sender.send(piece).await.is_err() || is_over {
                    return;
                }
            }
        });
        Self { pieces, piece: Bytes::new() }
    }
}

impl io::Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}
