//! Records requests and answers while somebody watches, and changes nothing in them.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, Request, Response, StatusCode, header},
};

use super::overheard::{Ear, Overheard, WholeBody};
use crate::{
    engine::Engine,
    watch::{
        AnswerRecord, ConnectionNumber, FrameReader, Meter, RequestRecord, StreamName, Watch,
        WatchEvent, hide_in_query, is_credential,
    },
};

/// What watches one request.
pub(super) struct Tap {
    watch: Arc<Watch>,
    connection: Option<u64>,
    container: Option<String>,
    makes_container: bool,
}

impl Tap {
    /// One for `request`, which is recorded; `None` while nobody watches.
    pub(super) fn on(engine: &Engine, request: &mut Request<Body>) -> Option<Self> {
        if !engine.watch.is_watched() {
            return None;
        }
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let parts = match parts.as_slice() {
            [version, rest @ ..] if version.starts_with("v1.") => rest,
            all => all,
        };
        let container = match parts {
            // Who watches is not watched.
            ["isolab", ..] => return None,
            ["containers", name, ..] => engine.container(name).ok().map(|it| it.id.clone()),
            ["exec", id, ..] => engine.exec(id).ok().map(|it| it.container.id.clone()),
            _ => None,
        };
        let connection = request.extensions().get::<ConnectionNumber>().map(|it| it.0);
        let tap = Self {
            watch: Arc::clone(&engine.watch),
            connection,
            container,
            makes_container: parts == ["containers", "create"],
        };
        tap.request(request, path);
        Some(tap)
    }

    fn request(&self, request: &mut Request<Body>, path: String) {
        let headers = request.headers();
        let exact = request.body().size_hint().exact();
        let record = RequestRecord {
            method: request.method().to_string(),
            query: hide_in_query(request.uri().query().unwrap_or_default()),
            path,
            body: None,
            body_bytes: exact.filter(|length| *length > 0),
            has_credentials: has_credentials(headers),
        };
        if exact == Some(0) {
            return self.publish(WatchEvent::Request(record));
        }
        let is_json = is_json(headers);
        let body = std::mem::take(request.body_mut());
        let ear = match is_json {
            true => {
                let publish = self.publisher();
                Ear::whole(move |read: WholeBody| {
                    let (body, body_bytes) = (read.shown(), Some(read.length));
                    publish(WatchEvent::Request(RequestRecord { body, body_bytes, ..record }));
                })
            }
            // An archive, whose request is seen before it is complete.
            false => {
                self.publish(WatchEvent::Request(record));
                Ear::Pieces(self.meter(StreamName::RequestBody, false))
            }
        };
        *request.body_mut() = Overheard::body(body, ear);
    }

    /// Records the answer, as it is sent.
    pub(super) fn answer(mut self, response: Response<Body>) -> Response<Body> {
        let status = response.status().as_u16();
        let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS
            || response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
                kind == "application/vnd.docker.raw-stream" && response.body().is_end_stream()
            });
        if is_upgraded {
            self.publish(WatchEvent::Upgraded { status });
            return response;
        }
        let exact = response.body().size_hint().exact();
        let record = AnswerRecord { status, body: None, body_bytes: exact };
        let is_json = is_json(response.headers());
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_framed =
            kind.is_some_and(|kind| kind == "application/vnd.docker.multiplexed-stream");
        let is_archive = kind.is_some_and(|kind| kind == "application/x-tar");
        match exact {
            Some(0) => {
                self.publish(WatchEvent::Answer(record));
                response
            }
            Some(_) => response.map(|body| {
                let makes_container = self.makes_container;
                let ear = Ear::whole(move |read: WholeBody| {
                    let body = if is_json { read.shown() } else { None };
                    if makes_container {
                        let id = body.as_ref().and_then(|body| body["Id"].as_str());
                        self.container = id.map(str::to_owned);
                    }
                    self.publish(WatchEvent::Answer(AnswerRecord { body, ..record }));
                });
                Overheard::body(body, ear)
            }),
            None => {
                self.publish(WatchEvent::Answer(record));
                let meter = self.meter(StreamName::AnswerBody, !is_archive);
                let ear = match is_framed {
                    true => Ear::Frames(meter, FrameReader::default()),
                    false => Ear::Pieces(meter),
                };
                response.map(|body| Overheard::body(body, ear))
            }
        }
    }

    fn publish(&self, event: WatchEvent) {
        self.watch.publish(self.connection, self.container.clone(), event);
    }

    fn publisher(&self) -> impl FnOnce(WatchEvent) + Send + 'static {
        let watch = Arc::clone(&self.watch);
        let (connection, container) = (self.connection, self.container.clone());
        move |event| watch.publish(connection, container, event)
    }

    fn meter(&self, stream: StreamName, is_shown: bool) -> Meter {
        Meter::new(&self.watch, (self.connection, self.container.clone()), stream, is_shown)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

fn has_credentials(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, value)| is_credential(name.as_str(), value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_there_are_credentials_is_seen_and_not_what_they_are() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-registry-auth", value.parse().unwrap());
            headers
        };
        assert!(has_credentials(&headers("eyJwYXNzd29yZCI6InMifQ==")));
        assert!(!has_credentials(&headers("e30=")) && !has_credentials(&HeaderMap::new()));
    }
}
