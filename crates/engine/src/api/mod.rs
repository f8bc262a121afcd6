//! Docker's REST API: one file a resource.
//!
//! A request is `[/vMAJOR.MINOR]/PATH?QUERY`. What it means is one table, in `route`.

mod always;
mod archive;
mod body;
mod build;
mod call;
mod containers;
mod disk;
mod events;
mod exec;
mod images;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod networks;
mod overheard;
mod progress;
mod query;
mod registry;
mod response;
mod stats;
mod streams;
mod system;
mod tap;
mod volumes;
mod wait;
mod watch;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, Response, StatusCode},
};

use crate::{
    engine::Engine,
    error::{ApiError, Result},
};
use call::Call;
pub use call::{MAX_VERSION, MIN_VERSION};

/// Answers a request.
pub async fn answer(engine: &Arc<Engine>, mut request: Request<Body>) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    let tap = tap::Tap::on(engine, &mut request);
    let result = match Call::read(request) {
        Ok((call, body)) => route(engine, call, body).await,
        Err(error) => Err(error),
    };
    let mut response = result.unwrap_or_else(|error| error.response());
    let headers = response.headers_mut();
    headers.insert("api-version", HeaderValue::from_static(MAX_VERSION));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    headers.insert("server", HeaderValue::from_static("isolab"));
    if is_head {
        // The docker command takes a body here for the next response.
        *response.body_mut() = Body::empty();
    }
    match tap {
        Some(tap) => tap.answer(response),
        None => response,
    }
}

/// The table of all requests.
async fn route(engine: &Arc<Engine>, call: Call, body: Body) -> Result<Response<Body>> {
    const GET: &str = "GET";
    const POST: &str = "POST";
    const PUT: &str = "PUT";
    const HEAD: &str = "HEAD";
    const DELETE: &str = "DELETE";
    let (method, path) = (call.method.clone(), call.path.clone());
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (method.as_str(), parts.as_slice()) {
        (GET | HEAD, ["_ping"]) => Ok(system::ping()),
        (GET, ["version"]) => system::version(engine),
        (GET, ["info"]) => system::info(engine).await,
        (GET, ["events"]) => events::events(engine, &call),
        (GET, ["isolab", "watch"]) => Ok(watch::watch(engine)),

        (POST, ["containers", "create"]) => containers::create(engine, &call, body).await,
        (GET, ["containers", "json"]) => list::list(engine, &call).await,
        (POST, ["containers", "prune"]) => containers::prune(engine, &call).await,
        (GET, ["containers", id, "json"]) => inspect::inspect(engine, id, &call).await,
        (GET, ["containers", id, "logs"]) => logs::logs(engine, id, &call).await,
        (POST, ["containers", id, "start"]) => lifecycle::start(engine, id, &call).await,
        (POST, ["containers", id, "stop"]) => lifecycle::stop(engine, id, &call).await,
        (POST, ["containers", id, "restart"]) => lifecycle::restart(engine, id, &call).await,
        (POST, ["containers", id, "kill"]) => lifecycle::kill(engine, id, &call).await,
        (POST, ["containers", id, "pause"]) => lifecycle::pause(engine, id).await,
        (POST, ["containers", id, "unpause"]) => lifecycle::unpause(engine, id).await,
        (POST, ["containers", id, "update"]) => containers::update(engine, id, body).await,
        (POST, ["containers", id, "rename"]) => lifecycle::rename(engine, id, &call),
        (POST, ["containers", id, "wait"]) => wait::wait(engine, id, &call),
        (POST, ["containers", id, "attach"]) => streams::attach(engine, id, call).await,
        (POST, ["containers", id, "resize"]) => streams::resize(engine, id, &call).await,
        (GET, ["containers", id, "top"]) => containers::top(engine, id, &call).await,
        (GET, ["containers", id, "stats"]) => stats::stats(engine, id, &call).await,
        (HEAD, ["containers", id, "archive"]) => archive::head(engine, id, &call).await,
        (GET, ["containers", id, "archive"]) => archive::get(engine, id, &call).await,
        (PUT, ["containers", id, "archive"]) => archive::put(engine, id, &call, body).await,
        (GET, ["containers", id, "export"]) => build::export(engine, id),
        (GET, ["containers", id, "changes"]) => build::changes(engine, id).await,
        (DELETE, ["containers", id]) => lifecycle::remove(engine, id, &call).await,

        (POST, ["containers", id, "exec"]) => exec::create(engine, id, body).await,
        (POST, ["exec", id, "start"]) => exec::start(engine, id, call, body).await,
        (POST, ["exec", id, "resize"]) => exec::resize(engine, id, &call).await,
        (GET, ["exec", id, "json"]) => exec::inspect(engine, id),

        (GET, ["images", "json"]) => images::list(engine, &call).await,
        (GET, ["images", "search"]) => images::search(engine, &call).await,
        (GET, ["images", "get"]) => {
            images::get(engine, call.query.all("names").map(str::to_owned).collect()).await
        }
        (POST, ["images", "load"]) => images::load(engine, body).await,
        (POST, ["images", "prune"]) => images::prune(engine, &call).await,
        (POST, ["images", "create"]) => registry::create(engine, &call, body).await,
        // A name has slashes.
        (GET, ["images", name @ .., "json"]) => images::inspect(engine, name.join("/")).await,
        (GET, ["images", name @ .., "history"]) => images::history(engine, name.join("/")).await,
        (GET, ["images", name @ .., "get"]) => images::get(engine, vec![name.join("/")]).await,
        (POST, ["images", name @ .., "tag"]) => images::tag(engine, name.join("/"), &call).await,
        (POST, ["images", name @ .., "push"]) => {
            registry::push(engine, name.join("/"), &call).await
        }
        (DELETE, ["images", name @ ..]) => images::remove(engine, name.join("/"), &call).await,
        (POST, ["auth"]) => registry::login(engine, body).await,
        (POST, ["build"]) => build::build(engine, &call, body).await,
        (POST, ["build", "prune"]) => build::prune(engine, &call).await,
        (POST, ["commit"]) => build::commit(engine, &call, body).await,
        (GET, ["system", "df"]) => disk::usage(engine, &call).await,

        (GET, ["networks"]) => networks::list(engine, &call),
        (POST, ["networks", "create"]) => networks::create(engine, body).await,
        (POST, ["networks", "prune"]) => networks::prune(engine, &call).await,
        (GET, ["networks", term]) => networks::inspect(engine, term),
        (DELETE, ["networks", term]) => networks::remove(engine, term).await,
        (POST, ["networks", term, "connect"]) => networks::connect(engine, term, body).await,
        (POST, ["networks", term, "disconnect"]) => networks::disconnect(engine, term, body).await,

        (GET, ["volumes"]) => volumes::list(engine, &call),
        (POST, ["volumes", "create"]) => volumes::create(engine, body).await,
        (POST, ["volumes", "prune"]) => volumes::prune(engine, &call),
        (GET, ["volumes", name]) => volumes::inspect(engine, name),
        (DELETE, ["volumes", name]) => volumes::remove(engine, name, &call),

        // There are none.
        (GET, ["plugins"]) => response::json(&[(); 0]),
        // What only a swarm has; and BuildKit, which the client does without then.
        (_, ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs", ..]) => {
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, system::NO_SWARM))
        }
        (GET | HEAD | POST | PUT | DELETE, _) => Err(ApiError::not_found("page not found")),
        _ => Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")),
    }
}
