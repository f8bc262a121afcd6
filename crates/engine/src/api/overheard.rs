//! A body that somebody listens to, and that stays the same.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::watch::{FrameReader, MAX_READ, Meter, shown_body};

/// A body that somebody listens to.
pub(super) struct Overheard {
    body: Body,
    ear: Ear,
}

/// Who listens.
pub(super) enum Ear {
    /// Wants it as a whole.
    Whole(WholeBody, Option<Box<dyn FnOnce(WholeBody) + Send>>),
    /// Wants each piece.
    Pieces(Meter),
    /// Wants each piece without the heads between them.
    Frames(Meter, FrameReader),
}

/// A body, as far as it was read.
#[derive(Default)]
pub(super) struct WholeBody {
    bytes: Vec<u8>,
    /// How long it is.
    pub(super) length: u64,
}

impl WholeBody {
    fn hear(&mut self, bytes: &Bytes) {
        self.length += bytes.len() as u64;
        let room = MAX_READ - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// What may be shown of it.
    pub(super) fn shown(&self) -> Option<serde_json::Value> {
        let is_whole = self.length == self.bytes.len() as u64;
        if is_whole { shown_body(&self.bytes) } else { None }
    }
}

impl Ear {
    /// One that is given the whole body at its end.
    pub(super) fn whole(then: impl FnOnce(WholeBody) + Send + 'static) -> Self {
        Self::Whole(WholeBody::default(), Some(Box::new(then)))
    }

    fn hear(&mut self, bytes: &Bytes) {
        match self {
            Self::Whole(read, _) => read.hear(bytes),
            Self::Pieces(meter) => meter.count(bytes),
            Self::Frames(meter, frames) => meter.count(&frames.read(bytes)),
        }
    }

    fn end(&mut self) {
        if let Self::Whole(read, then) = self
            && let Some(then) = then.take()
        {
            then(std::mem::take(read));
        }
    }
}

impl Overheard {
    /// `body`, with that listener.
    pub(super) fn body(body: Body, ear: Ear) -> Body {
        Body::new(Self { body, ear })
    }
}

impl HttpBody for Overheard {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    self.ear.hear(bytes);
                }
                if self.body.is_end_stream() {
                    self.ear.end();
                }
            }
            Poll::Ready(None | Some(Err(_))) => self.ear.end(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Overheard {
    fn drop(&mut self) {
        self.ear.end(); // nobody wanted the rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_overheard_is_the_same_body() {
        let (heard, wait) = tokio::sync::oneshot::channel();
        let ear = Ear::whole(move |read| drop(heard.send(read)));
        let body = Body::new(Overheard { body: Body::from("{\"Image\":\"x\"}"), ear });
        assert_eq!(body.size_hint().exact(), Some(13));
        let bytes = axum::body::to_bytes(body, 100).await.unwrap();
        assert_eq!(bytes, "{\"Image\":\"x\"}");
        assert_eq!(wait.await.unwrap().shown().unwrap()["Image"], "x");
    }

    #[tokio::test]
    async fn a_huge_body_is_counted_and_not_kept() {
        let mut read = WholeBody::default();
        for _ in 0..10 {
            read.hear(&Bytes::from(vec![b'1'; MAX_READ / 2]));
        }
        assert_eq!((read.bytes.len(), read.length), (MAX_READ, MAX_READ as u64 * 5));
        assert!(read.shown().is_none());
    }
}
