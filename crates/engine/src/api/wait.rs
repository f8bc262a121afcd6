//! `POST /containers/ID/wait`: the answer's head comes at once, its body when the container has ended.
//!
//! The docker command sends this before it starts the container, and starts it only after it has the
//! head (ENGINE's trap of `wait` before `start`).

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use serde_json::json;

use super::{
    call::Call,
    response::{ChannelBody, line, of_type},
};
use crate::{
    container::Progress,
    engine::Engine,
    error::{ApiError, Result},
    state::status::Phase,
};

pub(super) fn wait(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let condition = call.query.text("condition").unwrap_or("not-running").to_owned();
    // Listened to before anything is looked at: no end is missed.
    let mut progress = container.progress.subscribe();
    let ends = progress.borrow_and_update().ends;
    let status = container.status();
    let is_up = status.phase.is_up() || status.phase == Phase::Restarting;
    let (waits, removed) = match condition.as_str() {
        "not-running" => (is_up, false),
        "next-exit" => (true, false),
        "removed" => (true, true),
        other => return Err(ApiError::invalid(format!("invalid condition: \"{other}\""))),
    };
    // It can be removed without an end: then its last exit code counts.
    let last = status.exit_code;
    drop(container);
    let (sender, body) = ChannelBody::pair();
    tokio::spawn(async move {
        let over = |progress: &Progress| match removed {
            true => progress.removed,
            false => progress.ends > ends || progress.removed,
        };
        let mut code = last;
        if waits {
            let waited = tokio::select! {
                waited = progress.wait_for(over) => waited.map(|progress| progress.clone()),
                // The client has gone.
                () = sender.closed() => return,
            };
            if let Ok(progress) = waited
                && progress.ends > 0
            {
                code = progress.exit_code;
            }
        }
        let _ = sender.send(line(&json!({ "StatusCode": code }))).await;
    });
    Ok(of_type(StatusCode::OK, "application/json", body))
}
