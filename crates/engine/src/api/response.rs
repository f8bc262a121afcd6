//! Responses that succeed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, Response, StatusCode, header},
};
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::error::{ApiError, Result};

/// JSON, with 200.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Response<Body>> {
    json_of(StatusCode::OK, value)
}

/// JSON, with that status.
pub(super) fn json_of<T: Serialize>(status: StatusCode, value: &T) -> Result<Response<Body>> {
    let mut text = serde_json::to_vec(value).map_err(|error| ApiError::of(&error))?;
    text.push(b'\n');
    Ok(of_type(status, "application/json", Body::from(text)))
}

/// No body, with that status.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A body of that type.
pub(super) fn of_type(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A body that is sent as it is made. A full channel makes whoever fills it wait: a slow client costs
/// no memory.
pub(super) struct ChannelBody(mpsc::Receiver<Bytes>);

impl ChannelBody {
    /// A body, and where its pieces go. The body ends when that is dropped.
    pub(super) fn pair() -> (mpsc::Sender<Bytes>, Body) {
        let (sender, receiver) = mpsc::channel(4);
        (sender, Body::new(Self(receiver)))
    }
}

impl HttpBody for ChannelBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Where a thread writes a body: pieces of 32 KiB, and whenever it is flushed.
pub(super) struct BodyWriter {
    sender: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

/// How large the pieces are.
const PIECE: usize = 32 << 10;

impl BodyWriter {
    /// A writer of the body that belongs to `sender`.
    pub(super) fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self { sender, piece: Vec::new() }
    }
}

impl io::Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece).into();
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
        self.sender.blocking_send(piece).map_err(gone)
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        let _ = io::Write::flush(self); // the client may have gone
    }
}

/// A value as one line of a stream of JSON.
pub(super) fn line<T: Serialize>(value: &T) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.extend(b"\r\n");
    text.into()
}
