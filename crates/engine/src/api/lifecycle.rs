//! A container's life by requests: start, stop, restart, kill, pause, rename, remove.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::{call::Call, response::empty};
use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    guest_control,
    life::{self, Removal},
    names,
    runtime::Runtime,
    state::status::Phase,
};

pub(super) async fn start(engine: &Arc<Engine>, id: &str, _call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    Ok(empty(match life::start(engine, &container).await? {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_MODIFIED,
    }))
}

pub(super) async fn stop(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let (signal, timeout) = (call.query.text("signal"), call.query.number("t")?);
    Ok(empty(match life::stop(engine, &container, signal, timeout).await? {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_MODIFIED,
    }))
}

pub(super) async fn restart(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let (signal, timeout) = (call.query.text("signal"), call.query.number("t")?);
    life::stop(engine, &container, signal, timeout).await?;
    life::start(engine, &container).await?;
    container.emit(&engine.events, "restart", &[]);
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn kill(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    life::kill(engine, &container, call.query.text("signal").unwrap_or("KILL")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn pause(engine: &Arc<Engine>, id: &str) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let _changing = container.changing.lock().await;
    match container.status().phase {
        Phase::Up => {}
        Phase::Paused => {
            return Err(ApiError::conflict(format!(
                "Container {} is already paused",
                container.id
            )));
        }
        _ => {
            return Err(ApiError::conflict(format!("Container {} is not running", container.id)));
        }
    }
    change_frozen(engine, &container, true).await?;
    container.update(|record| record.status.phase = Phase::Paused);
    container.save()?;
    container.emit(&engine.events, "pause", &[]);
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn unpause(engine: &Arc<Engine>, id: &str) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let _changing = container.changing.lock().await;
    if container.status().phase != Phase::Paused {
        return Err(ApiError::conflict(format!("Container {} is not paused", container.id)));
    }
    change_frozen(engine, &container, false).await?;
    container.update(|record| record.status.phase = Phase::Up);
    container.save()?;
    container.emit(&engine.events, "unpause", &[]);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Freezes or thaws all its processes.
pub(super) async fn change_frozen(
    engine: &Arc<Engine>,
    container: &Container,
    freeze: bool,
) -> Result<()> {
    let (ledger, runtime) = (engine.ledger.clone(), container.record().runtime());
    let name = container.record().ledger_name();
    let change = move || -> Result<()> {
        let entry = ledger.find(&name).map_err(|error| ApiError::of(&error))?;
        let entry = entry.ok_or_else(|| ApiError::conflict("the container has ended"))?;
        if runtime == Runtime::Microvm {
            // Its processors stand still; the monitor goes on and can be asked.
            return guest_control::pause(&ledger, &entry, freeze);
        }
        let changed = match freeze {
            true => container::freeze(&ledger, &entry),
            false => container::thaw(&ledger, &entry).map(drop),
        };
        changed.map_err(|error| ApiError::of(&error))
    };
    tokio::task::spawn_blocking(change).await.map_err(|error| ApiError::of(&error))?
}

pub(super) fn rename(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let name = call.query.text("name").unwrap_or_default();
    let name = name.strip_prefix('/').unwrap_or(name);
    if name.is_empty() {
        return Err(ApiError::invalid("Neither old nor new names may be empty"));
    }
    names::check("container", name)?;
    if container.record().name == name {
        return Err(ApiError::invalid(
            "Renaming a container with the same name as its current name",
        ));
    }
    let old = engine.rename(&container, name)?;
    if let Err(error) = container.save() {
        container.update(|record| record.name = old);
        return Err(error);
    }
    // Others find it by its new name; one that cannot be told keeps the old one until its next start.
    let _ = engine.networks.renamed(&container.id, name);
    container.emit(&engine.events, "rename", &[("oldName", format!("/{old}"))]);
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn remove(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    if call.query.flag("link") {
        return Err(ApiError::invalid("links are not supported: use a network of your own"));
    }
    let removal = Removal { force: call.query.flag("force"), volumes: call.query.flag("v") };
    life::remove(engine, &container, removal).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
