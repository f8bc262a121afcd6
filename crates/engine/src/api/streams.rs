//! Attaching to a container, and the size of its terminal.

use std::sync::{Arc, PoisonError};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use tokio::sync::oneshot;

use super::{call::Call, logs, response::empty};
use crate::{
    attachment::{self, Attachment, Meters},
    container::{Container, Subscriber},
    engine::Engine,
    error::{ApiError, Result},
    state::status::Phase,
    supervisor::{Connection, STDERR, STDIN, STDOUT},
};

/// `101 UPGRADED`, or 200 for a client that did not ask for it: then the connection is the stream all
/// the same.
pub(super) fn upgraded(headers: &HeaderMap, tty: bool, version: (u32, u32)) -> Response<Body> {
    let is_asked = headers.get(header::UPGRADE).is_some_and(|protocol| protocol == "tcp");
    let framed = !tty && version >= (1, 42);
    let kind = match framed {
        true => "application/vnd.docker.multiplexed-stream",
        false => "application/vnd.docker.raw-stream",
    };
    let mut response = empty(match is_asked {
        true => StatusCode::SWITCHING_PROTOCOLS,
        false => StatusCode::OK,
    });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if is_asked {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    }
    response
}

pub(super) async fn attach(engine: &Arc<Engine>, id: &str, call: Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let query = &call.query;
    let keys = attachment::keys(query.text("detachKeys"))
        .ok_or_else(|| ApiError::invalid("Invalid detach keys provided"))?;
    let (tty, open_stdin) = {
        let record = container.record();
        (record.tty(), record.config.open_stdin.unwrap_or(false))
    };
    let phase = container.status().phase;
    if phase == Phase::Paused {
        return Err(ApiError::conflict(format!(
            "container {} is paused, unpause the container before attach",
            container.id
        )));
    }
    let stdin = query.flag("stdin") && open_stdin;
    let bit = |name: &str, bit: u32| if query.flag(name) { bit } else { 0 };
    let streams = bit("stdout", STDOUT) | bit("stderr", STDERR) | if stdin { STDIN } else { 0 };
    let first = query.flag("logs").then(|| logs::all_framed(&container, tty));
    let upgrade =
        call.upgrade.ok_or_else(|| ApiError::invalid("this connection cannot be upgraded"))?;
    let response = upgraded(&call.headers, tty, call.version);
    let meters = Meters::new(&engine.watch, call.connection, &container.id, tty);
    let attachment = Attachment { tty, stdin, keys, first, meters };
    let connected = query.flag("stream").then(|| subscribe(&container, streams));
    tokio::spawn(async move {
        let Some(client) = attachment::accepted(upgrade).await else { return };
        attachment::head_is_read().await;
        match connected {
            None => attachment::serve_first(client, attachment).await,
            // Without a start there is nothing to be attached to.
            Some(connected) => {
                let Some(connection) = connected.await else { return };
                attachment::serve(client, connection, attachment, |_| {}).await;
            }
        }
    });
    Ok(response)
}

/// A connection to the supervisor, now or once the container starts.
fn subscribe(
    container: &Arc<Container>,
    streams: u32,
) -> impl Future<Output = Option<Connection>> + Send + 'static {
    let (connected, connection) = oneshot::channel();
    let is_up = {
        // Registered under the lock that the start takes: it is served by the start or below.
        let mut all = container.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_up = container.status().phase.is_up();
        if !is_up {
            all.push(Subscriber { streams, connected });
        }
        is_up
    };
    let directory = container.directory.clone();
    async move {
        if !is_up {
            return connection.await.ok();
        }
        let mut own = Connection::open(&directory).await.ok()?;
        own.subscribe(streams).await.ok()?;
        Some(own)
    }
}

/// The size that a client's terminal has: rows and columns.
pub(super) fn size(call: &Call) -> Result<[u16; 2]> {
    let number = |name: &str| -> Result<u16> {
        let number = call.query.number(name)?;
        number.ok_or_else(|| ApiError::invalid(format!("invalid resize {name}: no value")))
    };
    Ok([number("h")?, number("w")?])
}

pub(super) async fn resize(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let [rows, columns] = size(call)?;
    if !container.status().phase.is_up() {
        return Err(ApiError::conflict(format!("container {} is not running", container.id)));
    }
    let resize =
        async { Connection::open(&container.directory).await?.resize(rows, columns).await };
    resize.await.map_err(ApiError::failed("resize the terminal"))?;
    container.emit(
        &engine.events,
        "resize",
        &[("height", rows.to_string()), ("width", columns.to_string())],
    );
    Ok(empty(StatusCode::OK))
}
