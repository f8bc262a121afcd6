//! `GET /events`: what happens, as it happens.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::EventMessage;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{
    call::Call,
    response::{ChannelBody, line, of_type},
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    events::time_of,
    filters::Filters,
    time,
};

const FILTERS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

pub(super) fn events(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&FILTERS)?;
    let instant = |name: &str| {
        let text = call.query.text(name);
        let read = text.map(|text| {
            let bad = || ApiError::invalid(format!("invalid {name}: {text}"));
            time::of_query(text).ok_or_else(bad)
        });
        read.transpose()
    };
    let (since, until) = (instant("since")?, instant("until")?);
    let (kept, mut later) = engine.events.listen(since);
    let (sender, body) = ChannelBody::pair();
    tokio::spawn(async move {
        let is_before = |event: &EventMessage| until.is_none_or(|until| time_of(event) <= until);
        for event in kept {
            if is_before(&event)
                && matches(&filters, &event)
                && sender.send(line(&written(&event))).await.is_err()
            {
                return;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = until.map(|until| until.saturating_sub(now));
        let end = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let mut end = std::pin::pin!(end);
        loop {
            let event = tokio::select! {
                event = later.recv() => event,
                () = &mut end => return,
                () = sender.closed() => return,
            };
            match event {
                Ok(event) if matches(&filters, &event) => {
                    if sender.send(line(&written(&event))).await.is_err() {
                        return;
                    }
                }
                // A listener that is too slow misses some, as with dockerd.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok(of_type(StatusCode::OK, "application/json", body))
}

/// Docker's form, with the fields that older clients read.
fn written(event: &EventMessage) -> Value {
    let mut all = serde_json::to_value(event).unwrap_or_default();
    let actor = event.actor.clone().unwrap_or_default();
    if let Some(fields) = all.as_object_mut() {
        let image = actor.attributes.as_ref().and_then(|all| all.get("image")).cloned();
        fields.insert("status".into(), json!(event.action));
        fields.insert("id".into(), json!(actor.id));
        fields.insert("from".into(), json!(image.unwrap_or_default()));
    }
    all
}

fn matches(filters: &Filters, event: &EventMessage) -> bool {
    let actor = event.actor.clone().unwrap_or_default();
    let (id, attributes) = (actor.id.unwrap_or_default(), actor.attributes.unwrap_or_default());
    let action = event.action.clone().unwrap_or_default();
    let kind = event.typ.map(|kind| kind.to_string()).unwrap_or_default();
    // `exec_start: sh` is an `exec_start`.
    let short = action.split(':').next().unwrap_or_default();
    let of = |wanted: &str, object: &str, name: Option<&String>| {
        (kind == object && id.starts_with(wanted)) || name.is_some_and(|name| name == wanted)
    };
    let name = attributes.get("name").filter(|_| kind == "container");
    let by_kind = |key: &str| {
        filters.any(key, |wanted| {
            kind == key
                && (id == wanted || attributes.get("name").is_some_and(|name| name == wanted))
        })
    };
    filters.any("event", |wanted| wanted == action || wanted == short)
        && filters.any("type", |wanted| wanted == kind)
        && filters.any("container", |wanted| of(wanted, "container", name))
        && filters.any("image", |wanted| {
            (kind == "image" && id == wanted)
                || attributes.get("image").is_some_and(|it| it == wanted)
        })
        && by_kind("network")
        && by_kind("volume")
        && filters.any("scope", |wanted| wanted == "local")
        && filters.labels(|key| attributes.get(key))
}
