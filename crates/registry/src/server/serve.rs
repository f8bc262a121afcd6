//! The loop of the server: connections, requests, and the end.

use std::{
    convert::Infallible,
    io::{self, Write},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderValue, Method, Request, Response, StatusCode, header},
};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Options,
    auth::Users,
    blobs, collect,
    error::ApiError,
    lists,
    log::{AccessLog, Line},
    manifests, page,
    response::json_response,
    route::Route,
    serve_error::ServeError,
    state::Registry,
    storage::Storage,
    tls, upload_requests,
};

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
    let data = options.data.display().to_string();
    let storage = Storage::open(&options.data, options.sync).map_err(io("open", data))?;
    let users = options.htpasswd.as_deref().map(Users::of).transpose()?;
    let tls = options.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(io("start", "the server's threads".into()))?;
    let registry = Arc::new(Registry { options, storage, users, log: AccessLog::new(log) });
    runtime.block_on(async {
        let address = registry.options.listen;
        let listener =
            TcpListener::bind(address).await.map_err(io("listen at", address.to_string()))?;
        let at = listener.local_addr().map_err(io("listen at", address.to_string()))?;
        ready(at);
        let (stop, stopped) = watch::channel(());
        tokio::spawn(clean_up(Arc::clone(&registry), stopped.clone()));
        let connections = Arc::new(Semaphore::new(registry.options.max_connections));
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
            let (registry, tls, stopped) = (Arc::clone(&registry), tls.clone(), stopped.clone());
            tokio::spawn(async move {
                connection(registry, stream, client, tls, stopped).await;
                drop(permit);
            });
        }
        drop(stop);
        let all = u32::try_from(registry.options.max_connections).unwrap_or(u32::MAX);
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
async fn clean_up(registry: Arc<Registry>, mut stopped: watch::Receiver<()>) {
    let mut ticks =
        tokio::time::interval(registry.options.collect_every.max(Duration::from_secs(1)));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let registry = Arc::clone(&registry);
        let work = move || {
            let _ = registry.storage.uploads.expire(registry.options.upload_expiry);
            let _ = collect::collect(&registry.storage, registry.options.upload_expiry);
        };
        let _ = tokio::task::spawn_blocking(work).await;
    }
}

async fn connection(
    registry: Arc<Registry>,
    stream: TcpStream,
    client: SocketAddr,
    tls: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let registry = Arc::clone(&registry);
        async move { Ok::<_, Infallible>(answer(&registry, client, request.map(Body::new)).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    match tls {
        Some(tls) => {
            let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await else { return };
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        }
        None => {
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        }
    }
}

async fn answer(registry: &Registry, client: SocketAddr, request: Request<Body>) -> Response<Body> {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned();
    let user = authenticate(registry, &request);
    let result = match &user {
        Ok(_) => route(registry, request).await,
        Err(()) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "this registry asks for a user and a password",
        )
        .with(header::WWW_AUTHENTICATE, "Basic realm=\"isolab registry\"")),
    };
    let mut response = result.unwrap_or_else(ApiError::response);
    let version = header::HeaderName::from_static("docker-distribution-api-version");
    response.headers_mut().insert(version, HeaderValue::from_static("registry/2.0"));
    registry.log.write(&Line {
        client,
        user: user.as_ref().ok().and_then(|user| user.as_deref()),
        method: method.as_str(),
        path: &path,
        status: response.status().as_u16(),
        bytes: response.body().size_hint().exact().unwrap_or(0),
        took: began.elapsed(),
        agent: &agent,
    });
    response
}

/// Who it is, if that matters here.
fn authenticate(registry: &Registry, request: &Request<Body>) -> Result<Option<String>, ()> {
    let Some(users) = &registry.users else { return Ok(None) };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // bcrypt takes its time, in which this thread serves nobody else.
    let check = |given| tokio::task::block_in_place(|| users.check(given));
    given.and_then(check).map(Some).ok_or(())
}

async fn route(registry: &Registry, request: Request<Body>) -> Result<Response<Body>, ApiError> {
    let route = Route::read(request.uri().path())?;
    let (parts, mut body) = request.into_parts();
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    if !is_read && registry.options.read_only {
        let message = "this registry is read-only";
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message));
    }
    let query = parts.uri.query();
    match (route, &parts.method) {
        (Route::Page, &Method::GET) => page::page(registry, &parts.headers, query),
        (Route::Version, &Method::GET | &Method::HEAD) => {
            Ok(json_response("application/json", b"{}".to_vec()))
        }
        (Route::Catalog, &Method::GET) => lists::catalog(registry, query),
        (Route::Tags(name), &Method::GET) => lists::tags(registry, &name, query),
        (Route::Referrers(name, digest), &Method::GET) => {
            lists::referrers(registry, &name, &digest, query)
        }
        (Route::Blob(name, digest), method @ (&Method::GET | &Method::HEAD)) => {
            blobs::get(registry, &name, &digest, &parts.headers, method == Method::HEAD)
        }
        (Route::Blob(name, digest), &Method::DELETE) => blobs::delete(registry, &name, &digest),
        (Route::Manifest(name, which), method @ (&Method::GET | &Method::HEAD)) => {
            manifests::get(registry, &name, &which, &parts.headers, method == Method::HEAD)
        }
        (Route::Manifest(name, which), &Method::PUT) => {
            manifests::put(registry, &name, &which, &parts.headers, &mut body).await
        }
        (Route::Manifest(name, which), &Method::DELETE) => {
            manifests::delete(registry, &name, &which)
        }
        (Route::Uploads(name), &Method::POST) => {
            upload_requests::begin(registry, &name, query, &parts.headers, &mut body).await
        }
        (Route::Upload(name, id), &Method::PATCH) => {
            upload_requests::append(registry, &name, &id, &parts.headers, &mut body).await
        }
        (Route::Upload(name, id), &Method::PUT) => {
            upload_requests::finish(registry, &name, &id, query, &parts.headers, &mut body).await
        }
        (Route::Upload(name, id), &Method::GET) => upload_requests::status(registry, &name, &id),
        (Route::Upload(name, id), &Method::DELETE) => upload_requests::cancel(registry, &name, &id),
        _ => Err(ApiError::method()),
    }
}
