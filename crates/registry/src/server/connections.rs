//! The connections of a server: how many there may be, and how each is answered.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, http::Request, response::Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
};

/// How long the server rests when it is out of descriptors: those that are open end some time.
const REST: Duration = Duration::from_millis(50);

/// The connections of a server, of which there is only a certain number at once.
#[derive(Debug)]
pub struct Connections {
    permits: Arc<Semaphore>,
    most: usize,
}

impl Connections {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(most)), most }
    }

    /// Serves each client that `accept` brings, for ever. Those who come when there are too many
    /// wait until one goes.
    pub async fn accept<S, A, C>(&self, mut accept: impl FnMut() -> A, serve: impl Fn(S) -> C)
    where
        A: Future<Output = io::Result<S>>,
        C: Future<Output = ()> + Send + 'static,
    {
        loop {
            let Ok(stream) = accept().await else {
                tokio::time::sleep(REST).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
            let served = serve(stream);
            tokio::spawn(async move {
                served.await;
                drop(permit);
            });
        }
    }

    /// Whether nobody is connected.
    pub fn is_idle(&self) -> bool {
        self.permits.available_permits() >= self.most
    }

    /// Waits until all are gone, at most so long.
    pub async fn finish(&self, grace: Duration) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(grace, self.permits.acquire_many(all)).await;
    }
}

/// What a server grants each of its connections.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// How long a client may take for the head of a request, and be silent before it.
    pub head: Duration,
    /// How large the head of a request may be, in bytes.
    pub max_head: usize,
    /// Whether a client that closes its half of the connection still gets its answer. Then the end of
    /// a client is not noticed while it has no answer: `gone` has to say it.
    pub half_close: bool,
}

/// Answers the requests of a connection by HTTP/1.1 (RFC 9112), until it or the server ends, or its
/// client is `gone`. A request that runs when `stopped` changes is answered still.
pub async fn answer_all<S, F>(
    stream: S,
    allowance: Allowance,
    answer: impl Fn(Request<Body>) -> F,
    mut stopped: watch::Receiver<()>,
    gone: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Response>,
{
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answered = answer(request.map(Body::new));
        async { Ok::<_, Infallible>(answered.await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(allowance.head);
    builder.max_buf_size(allowance.max_head).half_close(allowance.half_close);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let mut gone = pin!(gone);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = gone.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = gone => {}
    }
}
