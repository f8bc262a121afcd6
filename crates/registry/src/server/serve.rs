//! The loop of the server: connections, and the end.

use std::{
    convert::Infallible,
    io::{self, Write},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, http::Request};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{Options, handler::Handler, serve_error::ServeError, tls};

/// How long a client may take for the head of a request, and for TLS.
const HEAD: Duration = Duration::from_secs(15);
/// How large the head of a request may be.
const MAX_HEAD: usize = 32 << 10;
/// How long requests may still run when the server is to end.
const GRACE: Duration = Duration::from_secs(10);

/// Serves a registry until `shutdown` is ready; `ready` learns where it listens. Requests that run
/// then are finished.
///
/// # Errors
///
/// When it cannot begin: its directory, its address, its users or its certificate cannot be used.
pub fn serve(
    options: Options,
    log: Box<dyn Write + Send>,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let io = |action, object: String| move |source| ServeError::Io { action, object, source };
    let (address, max_connections) = (options.listen, options.max_connections);
    let tls = options.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
    let handler = Handler::open(options, log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(io("start", "the server's threads".into()))?;
    runtime.block_on(async {
        let listener =
            TcpListener::bind(address).await.map_err(io("listen at", address.to_string()))?;
        let at = listener.local_addr().map_err(io("listen at", address.to_string()))?;
        ready(at);
        let (stop, stopped) = watch::channel(());
        tokio::spawn(clean_up(handler.clone(), stopped.clone()));
        let connections = Arc::new(Semaphore::new(max_connections));
        let mut shutdown = pin!(shutdown);
        loop {
            // Those who come when there are too many wait until one goes.
            let next = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = &mut shutdown => break,
                next = next => next,
            };
            let Ok((stream, client)) = accepted else {
                // Out of descriptors: those that are open end some time.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (handler, tls, stopped) = (handler.clone(), tls.clone(), stopped.clone());
            tokio::spawn(async move {
                accept(handler, stream, client, tls, stopped).await;
                drop(permit);
            });
        }
        drop(stop);
        let all = u32::try_from(max_connections).unwrap_or(u32::MAX);
        let _ = timeout(GRACE, connections.acquire_many(all)).await;
        Ok(())
    })
}

/// Ready when this process is asked to end: by SIGINT, SIGTERM or SIGHUP.
pub async fn terminated() {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn received(signal: io::Result<Signal>) {
        match signal {
            Ok(mut signal) => _ = signal.recv().await,
            // Then the kernel's default holds: the process ends.
            Err(_) => std::future::pending().await,
        }
    }
    tokio::select! {
        () = received(signal(SignalKind::interrupt())) => {}
        () = received(signal(SignalKind::terminate())) => {}
        () = received(signal(SignalKind::hangup())) => {}
    }
}

/// Expires uploads and removes what nothing names, from time to time.
async fn clean_up(handler: Handler, mut stopped: watch::Receiver<()>) {
    let every = handler.0.options.collect_every.max(Duration::from_secs(1));
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let handler = handler.clone();
        let _ = tokio::task::spawn_blocking(move || handler.clean_up()).await;
    }
}

async fn accept(
    handler: Handler,
    stream: TcpStream,
    client: SocketAddr,
    tls: Option<TlsAcceptor>,
    stopped: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => connection(handler, stream, client, stopped).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
                connection(handler, stream, client, stopped).await;
            }
        }
    }
}

/// Answers the requests of a connection, until it or the server ends.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    handler: Handler,
    stream: S,
    client: SocketAddr,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.answer(client, request.map(Body::new)).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
