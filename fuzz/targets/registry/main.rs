//! Requests to a registry, one after the other, while somebody damages its files, plants links in
//! them and starts it anew: `request.rs` and `content.rs` make them of the input, `model.rs` knows what must hold.
//!
//! No socket: the handler gets the requests as the HTTP library would hand them over.
#![no_main]

mod content;
mod model;
mod outside;
mod request;

use std::{net::SocketAddr, sync::LazyLock};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use libfuzzer_sys::fuzz_target;
use registry::server::Handler;
use tokio::runtime::Runtime;

use model::Model;
use request::Session;

/// The handlers wait for the disk as they may on a runtime of several threads.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("threads can be started")
});

/// What a client gets.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends a request, and reads all of the answer.
fn send(handler: &Handler, request: Request<Body>) -> Answer {
    RUNTIME.block_on(async {
        let response = handler.answer(SocketAddr::from(([127, 0, 0, 1], 1)), request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.expect("a body that was promised");
        Answer { status: parts.status, headers: parts.headers, body }
    })
}

fuzz_target!(|session: Session| {
    let mut model = Model::new(session.quota);
    for step in session.steps.iter().take(32) {
        model.play(step);
    }
    model.check();
});
