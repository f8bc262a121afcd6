//! The loop of the server: connections, and the end.

use std::{
    future::pending,
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Options,
    connections::{Allowance, Connections, answer_all},
    handler::Handler,
    serve_error::ServeError,
    tls,
};

/// What each client gets; the time holds for TLS too.
const ALLOWANCE: Allowance =
    Allowance { head: Duration::from_secs(15), max_head: 32 << 10, half_close: false };
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
    let tls = options.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key, None)).transpose()?;
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
        let connections = Connections::new(max_connections);
        let clients = connections.accept(
            || listener.accept(),
            |(stream, client)| {
                accept(handler.clone(), stream, client, tls.clone(), stopped.clone())
            },
        );
        tokio::select! {
            () = shutdown => {}
            () = clients => {}
        }
        drop(stop);
        connections.finish(GRACE).await;
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
            Err(_) => pending().await,
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
    let answer = |request| {
        let handler = handler.clone();
        async move { handler.answer(client, request).await }
    };
    match tls {
        None => answer_all(stream, ALLOWANCE, answer, stopped, pending()).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(ALLOWANCE.head, tls.accept(stream)).await {
                answer_all(stream, ALLOWANCE, answer, stopped, pending()).await;
            }
        }
    }
}
