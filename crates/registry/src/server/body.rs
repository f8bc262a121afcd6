//! Bodies: a request's bytes as they come, a response's as they are read from a file.

use std::{
    fs::File,
    io::Read as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::future::poll_fn;

use super::error::ApiError;
use axum::http::StatusCode;

/// How much of a file is read at once.
const PIECE: usize = 128 << 10;

/// A file's bytes, or the first `left` of them.
#[derive(Debug)]
pub struct FileBody {
    file: File,
    left: u64,
}

impl FileBody {
    /// The next `length` bytes of `file`.
    pub fn new(file: File, length: u64) -> Self {
        Self { file, left: length }
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; wanted];
        // What is pulled was pushed not long ago: it comes from the page cache.
        match self.file.read(&mut piece) {
            Ok(0) => Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into()))),
            Ok(length) => {
                piece.truncate(length);
                self.left -= length as u64;
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The next bytes of a request's body; `None` at its end.
///
/// # Errors
///
/// When the client is gone, or silent for `idle`.
pub async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, ApiError> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = tokio::time::timeout(idle, frame).await.map_err(|_| {
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "SIZE_INVALID",
                "the client sent nothing for too long",
            )
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => {
                let message = "the body ended before its length";
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
            }
        }
    }
}

/// A whole body of at most `limit` bytes.
///
/// # Errors
///
/// When it is longer, and when the client is gone or silent.
pub async fn whole(body: &mut Body, limit: u64, idle: Duration) -> Result<Vec<u8>, ApiError> {
    let mut all = Vec::new();
    while let Some(bytes) = next(body, idle).await? {
        if (all.len() + bytes.len()) as u64 > limit {
            return Err(ApiError::too_large(format!("a manifest has at most {limit} bytes")));
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
