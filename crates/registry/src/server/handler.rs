//! What answers requests, whatever they come over: who is it, what is asked for, and the log.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderValue, Method, Request, Response, StatusCode, header},
};

use super::{
    Options,
    auth::Users,
    blobs, boot,
    collect::{self, Collected},
    error::ApiError,
    lists,
    log::{AccessLog, Line},
    manifests, page,
    response::json_response,
    route::Route,
    serve_error::ServeError,
    state::Registry,
    storage::Storage,
    upload_requests,
};

/// A registry without a socket. [`serve`](super::serve) puts one behind a listener; tests and fuzzers
/// hand it requests.
#[derive(Clone)]
pub struct Handler(pub(super) Arc<Registry>);

impl Handler {
    /// The registry of these options, which has its data directory until the last clone is dropped.
    /// Where it listens, its certificate and how many connections there may be are not its concern.
    ///
    /// # Errors
    ///
    /// When its directory or its users cannot be used, or another server has the directory.
    pub fn open(options: Options, log: Box<dyn Write + Send>) -> Result<Self, ServeError> {
        let storage = Storage::open(&options.data, options.sync, options.max_total);
        let storage = storage.map_err(|source| ServeError::of_data(&options.data, source))?;
        let users = options.htpasswd.as_deref().map(Users::of).transpose()?;
        Ok(Self(Arc::new(Registry { options, storage, users, log: AccessLog::new(log) })))
    }

    /// Removes what a power cut has damaged, uploads that nobody has continued, and what nothing names.
    pub fn clean_up(&self) -> Collected {
        self.try_clean_up()
            .inspect_err(|error| self.0.log.write_failure("clean up", error))
            .unwrap_or_default()
    }

    fn try_clean_up(&self) -> io::Result<Collected> {
        let Registry { options, storage, log, .. } = &*self.0;
        for digest in boot::remove_damaged(storage)? {
            log.write_failure("verify after boot", &format!("removed the damaged blob {digest}"));
        }
        storage.uploads.expire(options.upload_expiry)?;
        collect::collect(storage, options.upload_expiry)
    }

    /// Answers a request of `client`. It must be called on a runtime of several threads: one that
    /// waits for the disk hands its other tasks to the next.
    pub async fn answer(&self, client: SocketAddr, request: Request<Body>) -> Response<Body> {
        answer(&self.0, client, request).await
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
    let cause = result.as_ref().err().and_then(|error| error.cause.clone());
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
        cause: cause.as_deref(),
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
