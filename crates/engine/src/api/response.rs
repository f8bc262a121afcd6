//! Responses that succeed.

use std::{
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
    pub(super) fn new() -> (mpsc::Sender<Bytes>, Body) {
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

/// A value as one line of a stream of JSON.
pub(super) fn line<T: Serialize>(value: &T) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.extend(b"\r\n");
    text.into()
}
