//! `docker system df`: what takes space on the disk.

use std::sync::Arc;

use axum::{body::Body, http::Response};
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    list::summary,
    progress::{blocking, refused},
    response::json as json_response,
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    images::{list, prune},
};

pub(super) async fn usage(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let types: Vec<&str> = call.query.all("type").collect();
    const KNOWN: [&str; 4] = ["container", "image", "volume", "build-cache"];
    if let Some(unknown) = types.iter().find(|name| !KNOWN.contains(name)) {
        return Err(ApiError::invalid(format!("unknown object type: {unknown}")));
    }
    let [containers, images, volumes, cache] =
        KNOWN.map(|name| types.is_empty() || types.contains(&name));
    let own = Arc::clone(engine);
    let work = move || {
        let mut answer = Map::new();
        let failed = |error| refused(&error);
        let all = own.containers();
        if images {
            let used: Vec<String> = all.iter().map(|it| it.record().image.clone()).collect();
            let (bytes, list) = list::disk_usage(&own.store()?, &used).map_err(failed)?;
            answer.insert("LayersSize".into(), json!(bytes));
            answer.insert("Images".into(), json!(list));
        }
        if containers {
            let list = all.iter().map(|container| {
                let record = container.record().clone();
                summary(&own, container, &record, true)
            });
            answer.insert("Containers".into(), json!(list.collect::<Result<Vec<_>>>()?));
        }
        if volumes {
            let list = own.volumes.all().into_iter().map(|volume| volume_of(&own, volume));
            answer.insert("Volumes".into(), json!(list.collect::<Vec<_>>()));
        }
        if cache {
            let steps = prune::build_cache(&own.store()?).map_err(failed)?;
            let unshared = steps.iter().filter(|step| step.shared == Some(false));
            let bytes: i64 = unshared.filter_map(|step| step.size).sum();
            answer.insert("BuildCache".into(), json!(steps));
            answer.insert("BuilderSize".into(), json!(bytes));
        }
        Ok(Value::Object(answer))
    };
    json_response(&blocking(work).await?)
}

/// A volume with its size, and how many containers have it.
fn volume_of(engine: &Engine, record: crate::volumes::VolumeRecord) -> Value {
    let users = crate::life::users_of_volume(engine, &record.name).len();
    let size = super::inspect::size_of(&engine.volumes.data(&record.name));
    let mut volume = json!(engine.volumes.volume(record));
    volume["UsageData"] = json!({ "Size": size, "RefCount": users });
    volume
}
