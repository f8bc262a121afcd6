//! `docker exec`: created, started, resized, and looked at.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::{ExecConfig, ExecStartConfig};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    always::completed,
    body,
    call::Call,
    response::{empty, json, json_of},
    streams,
};
use crate::{
    attachment::{self, Attachment, Meters},
    engine::Engine,
    error::{ApiError, Result},
    exec,
    supervisor::{Connection, STDERR, STDIN, STDOUT},
};

pub(super) async fn create(engine: &Arc<Engine>, id: &str, body: Body) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let config: ExecConfig = body::json(body).await?;
    if attachment::keys(config.detach_keys.as_deref()).is_none() {
        return Err(ApiError::invalid("Invalid detach keys provided"));
    }
    let id = exec::create(engine, &container, config)?;
    // The model's own name for it, `id`, is not what clients look for.
    json_of(StatusCode::CREATED, &json!({ "Id": id }))
}

pub(super) async fn start(
    engine: &Arc<Engine>,
    id: &str,
    call: Call,
    body: Body,
) -> Result<Response<Body>> {
    let exec = engine.exec(id)?;
    let bytes = body::small(body).await?;
    let asked: ExecStartConfig = match bytes.is_empty() {
        true => ExecStartConfig::default(),
        false => serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}")))?,
    };
    let size = asked.console_size.unwrap_or_default();
    let size = [0, 1]
        .map(|index| size.get(index).and_then(|number| u16::try_from(*number).ok()).unwrap_or(0));
    if asked.detach == Some(true) {
        exec::claim(&exec)?;
        exec::start(engine, &exec, None, size).await?;
        return Ok(empty(StatusCode::OK));
    }
    let config = &exec.config;
    let bit = |on: Option<bool>, bit: u32| if on == Some(true) { bit } else { 0 };
    let streams = bit(config.attach_stdout, STDOUT)
        | bit(config.attach_stderr, STDERR)
        | bit(config.attach_stdin, STDIN);
    let keys = attachment::keys(config.detach_keys.as_deref()).unwrap_or_default();
    let stdin = config.attach_stdin == Some(true);
    let meters = Meters::new(&engine.watch, call.connection, &exec.container.id, exec.tty());
    let attachment = Attachment { tty: exec.tty(), stdin, keys, first: None, meters };
    let upgrade =
        call.upgrade.ok_or_else(|| ApiError::invalid("this connection cannot be upgraded"))?;
    // After all that can be refused: it has one start.
    exec::claim(&exec)?;
    let response = streams::upgraded(&call.headers, exec.tty(), call.version);
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        // As with dockerd the client has its answer before the start, and reads why that failed. A
        // start takes longer than a client needs for the head.
        let Some(client) = attachment::accepted(upgrade).await else { return };
        match exec::start(&engine, &exec, Some(streams), size).await {
            Ok(Some(connection)) => {
                // At the end of the stream its client asks for the exit code.
                let exited = |code: u32| exec::ended(&exec, code.into());
                attachment::serve(client, connection, attachment, exited).await;
            }
            Ok(None) => {}
            Err(error) => attachment::serve_first(client, with_error(attachment, &error)).await,
        }
    });
    Ok(response)
}

/// Gives the client an error to read.
fn with_error(attachment: Attachment, error: &ApiError) -> Attachment {
    let text = format!("{}\r\n", error.message);
    let head = if attachment.tty { Vec::new() } else { attachment::head(1, text.len()).into() };
    let (sender, first) = mpsc::channel(1);
    // There is room for one.
    let _ = sender.try_send([head, text.into_bytes()].concat().into());
    Attachment { first: Some(first), ..attachment }
}

pub(super) async fn resize(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let exec = engine.exec(id)?;
    let [rows, columns] = streams::size(call)?;
    let resize = async { Connection::open(&exec.directory).await?.resize(rows, columns).await };
    resize.await.map_err(ApiError::failed("resize the terminal"))?;
    Ok(empty(StatusCode::OK))
}

pub(super) fn inspect(engine: &Arc<Engine>, id: &str) -> Result<Response<Body>> {
    let mut all = completed(&engine.exec(id)?.inspect(), "Exec")?;
    all["ProcessConfig"]
        .as_object_mut()
        .map(|process| process.entry("privileged").or_insert(json!(false)));
    json(&all)
}
