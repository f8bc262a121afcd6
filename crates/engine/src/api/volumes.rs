//! Volumes.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::{VolumeCreateRequest, VolumeListResponse, VolumePruneResponse};

use super::{
    body,
    call::Call,
    response::{empty, json, json_of},
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    events::Kind,
    id::new_id,
    life::users_of_volume,
    time,
    volumes::VolumeRecord,
};

pub(super) fn list(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&["dangling", "driver", "label", "name"])?;
    let matches = |volume: &VolumeRecord| {
        filters.any("name", |part| volume.name.contains(part))
            && filters.any("driver", |driver| driver == "local")
            && filters.any("dangling", |wanted| {
                let is_wanted = matches!(wanted, "1" | "true" | "t" | "True");
                users_of_volume(engine, &volume.name).is_empty() == is_wanted
            })
            && filters.labels(|key| volume.labels.get(key))
    };
    let found = engine.volumes.all().into_iter().filter(matches);
    let volumes = found.map(|volume| engine.volumes.volume(volume)).collect();
    json(&VolumeListResponse { volumes: Some(volumes), warnings: None })
}

pub(super) async fn create(engine: &Arc<Engine>, body: Body) -> Result<Response<Body>> {
    let asked: VolumeCreateRequest = body::json(body).await?;
    let driver = asked.driver.unwrap_or_default();
    if !matches!(driver.as_str(), "" | "local") {
        return Err(ApiError::not_found(format!(
            "error looking up volume plugin {driver}: plugin \"{driver}\" not found"
        )));
    }
    let name = asked.name.filter(|name| !name.is_empty());
    let anonymous = name.is_none();
    let wanted = VolumeRecord {
        name: name.unwrap_or_else(new_id),
        created: time::now(),
        labels: asked.labels.unwrap_or_default(),
        options: asked.driver_opts.unwrap_or_default(),
        anonymous,
    };
    let (record, is_new) = engine.volumes.create(wanted)?;
    if is_new {
        emit(engine, "create", &record.name);
    }
    json_of(StatusCode::CREATED, &engine.volumes.volume(record))
}

pub(super) fn inspect(engine: &Arc<Engine>, name: &str) -> Result<Response<Body>> {
    json(&engine.volumes.volume(engine.volumes.find(name)?))
}

pub(super) fn remove(engine: &Arc<Engine>, name: &str, call: &Call) -> Result<Response<Body>> {
    let removed = engine.volumes.remove(name, &users_of_volume(engine, name));
    match removed {
        Err(error) if error.status == StatusCode::NOT_FOUND && call.query.flag("force") => {}
        removed => {
            removed?;
            emit(engine, "destroy", name);
        }
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Removes what no container has: anonymous ones, and with the filter `all` the named ones too.
pub(super) fn prune(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&["all", "label", "label!"])?;
    let all = filters.values("all").iter().any(|word| matches!(word.as_str(), "1" | "true"));
    // Before API 1.42 there was no other kind of prune.
    let all = all || call.version < (1, 42);
    let mut deleted = Vec::new();
    for volume in engine.volumes.all() {
        let users = users_of_volume(engine, &volume.name);
        if (volume.anonymous || all)
            && filters.labels(|key| volume.labels.get(key))
            && users.is_empty()
            && engine.volumes.remove(&volume.name, &users).is_ok()
        {
            emit(engine, "destroy", &volume.name);
            deleted.push(volume.name);
        }
    }
    json(&VolumePruneResponse { volumes_deleted: Some(deleted), space_reclaimed: Some(0) })
}

fn emit(engine: &Engine, action: &str, name: &str) {
    let attributes = HashMap::from([("driver".to_owned(), "local".to_owned())]);
    engine.events.emit(Kind::VOLUME, action, name, attributes);
}
