//! Images that are made: by a build, or of a container; and what a container's root is.

use std::{path::PathBuf, sync::Arc};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::{ContainerConfig, HostConfig};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    body::{self, BodyReader},
    call::Call,
    images::emit,
    lifecycle,
    progress::{blocking, lines, refused},
    registry::{header, registries},
    response::{BodyWriter, ChannelBody, json as json_response, json_of, of_type},
};
use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    images::{
        ImageError,
        build::{self, BuildRequest},
        commit::{self, CommitRequest, ContainerRoot},
        prune,
        registries::BuildAuth,
    },
    state::status::Phase,
};

/// `docker build`, by the classic builder.
pub(super) async fn build(engine: &Arc<Engine>, call: &Call, body: Body) -> Result<Response<Body>> {
    if call.query.text("version") == Some("2") {
        return Err(ApiError::invalid(
            "BuildKit is not supported: set DOCKER_BUILDKIT=0 for the classic builder",
        ));
    }
    let (request, engine, reader) = (request(call)?, Arc::clone(engine), BodyReader::new(body));
    lines(move |lines| {
        let store = engine.store().map_err(|error| ImageError::Failed(error.message))?;
        let id = build::build(&store, &registries(&engine), &request, reader, lines)?;
        emit(&engine, "build", &id.to_string(), request.tags.first().map_or("", String::as_str));
        Ok(())
    })
    .await
}

fn request(call: &Call) -> Result<BuildRequest> {
    let query = &call.query;
    let text = |key: &str| query.text(key).unwrap_or_default().to_owned();
    let auth = BuildAuth::of_header(header(&call.headers, "x-registry-config"));
    let host = HostConfig {
        memory: query.number("memory")?,
        memory_swap: query.number("memswap")?,
        cpu_shares: query.number("cpushares")?,
        cpu_period: query.number("cpuperiod")?,
        cpu_quota: query.number("cpuquota")?,
        cpuset_cpus: query.text("cpusetcpus").map(str::to_owned),
        cpuset_mems: query.text("cpusetmems").map(str::to_owned),
        shm_size: query.number("shmsize")?,
        network_mode: query.text("networkmode").map(str::to_owned),
        extra_hosts: Some(query.all("extrahosts").map(str::to_owned).collect()),
        ulimits: list(call, "ulimits")?,
        security_opt: list(call, "securityopt")?,
        ..HostConfig::default()
    };
    Ok(BuildRequest {
        tags: query.all("t").map(str::to_owned).collect(),
        dockerfile: text("dockerfile"),
        build_args: text("buildargs"),
        labels: text("labels"),
        target: text("target"),
        no_cache: query.flag("nocache"),
        pull: query.flag("pull"),
        // It is true unless a client says otherwise.
        remove: query.text("rm").is_none() || query.flag("rm"),
        force_remove: query.flag("forcerm"),
        quiet: query.flag("q"),
        remote: text("remote"),
        platform: text("platform"),
        host,
        auth: auth.map_err(|error| refused(&error))?,
    })
}

/// A parameter that is a list in JSON.
fn list<T: DeserializeOwned>(call: &Call, name: &str) -> Result<Option<Vec<T>>> {
    let Some(text) = call.query.text(name) else { return Ok(None) };
    let invalid = |error| ApiError::invalid(format!("invalid value for {name}: {error}"));
    serde_json::from_str(text).map_err(invalid)
}

/// `docker builder prune`.
pub(super) async fn prune(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let (all, engine) = (call.query.flag("all"), Arc::clone(engine));
    let work =
        move || prune::prune_build_cache(engine.store()?, all).map_err(|error| refused(&error));
    json_response(&blocking(work).await?)
}

/// The root of a container as directories.
struct OwnedRoot {
    upper: PathBuf,
    lowers: Vec<PathBuf>,
}

impl OwnedRoot {
    fn of(container: &Container) -> Result<Self> {
        container.must_be_seen("read the changes of")?;
        let lowers = container.record().layers.clone();
        Ok(Self { upper: container.directory.join("files/upper"), lowers })
    }

    fn root(&self) -> ContainerRoot<'_> {
        ContainerRoot { upper: &self.upper, lowers: &self.lowers }
    }
}

/// `docker commit`.
pub(super) async fn commit(
    engine: &Arc<Engine>,
    call: &Call,
    body: Body,
) -> Result<Response<Body>> {
    let text = |key: &str| call.query.text(key).unwrap_or_default().to_owned();
    let container = engine.container(&text("container"))?;
    let bytes = body::small(body).await?;
    let invalid = |error| ApiError::invalid(format!("invalid JSON: {error}"));
    let body: Option<ContainerConfig> = match bytes.is_empty() {
        true => None,
        false => serde_json::from_slice(&bytes).map_err(invalid)?,
    };
    let (image, config) = {
        let record = container.record();
        (record.image.clone(), record.config.clone())
    };
    let request = CommitRequest {
        image,
        config,
        body,
        changes: call.query.all("changes").map(str::to_owned).collect(),
        author: text("author"),
        comment: text("comment"),
        repo: text("repo"),
        tag: text("tag"),
    };
    let frozen = call.query.text("pause").is_none() || call.query.flag("pause");
    // A task of its own: a client that goes away must not leave the container frozen.
    let made = tokio::spawn(committed(Arc::clone(engine), container, request, frozen)).await;
    let id = made.map_err(|error| ApiError::of(&error))??;
    json_of(StatusCode::CREATED, &json!({ "Id": id }))
}

/// Makes the image, while nobody starts or stops the container and, with `frozen`, nothing in it runs.
async fn committed(
    engine: Arc<Engine>,
    container: Arc<Container>,
    request: CommitRequest,
    frozen: bool,
) -> Result<String> {
    let root = OwnedRoot::of(&container)?;
    let _changing = container.changing.lock().await;
    let is_frozen = frozen && container.status().phase == Phase::Up;
    if is_frozen {
        lifecycle::change_frozen(&engine, &container, true).await?;
    }
    let own = Arc::clone(&engine);
    let made = blocking(move || {
        commit::commit(&own.store()?, root.root(), &request).map_err(|error| refused(&error))
    })
    .await;
    if is_frozen {
        lifecycle::change_frozen(&engine, &container, false).await?;
    }
    let id = made?.to_string();
    container.emit(&engine.events, "commit", &[("imageID", id.clone())]);
    Ok(id)
}

/// `docker export`.
pub(super) fn export(engine: &Arc<Engine>, id: &str) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let root = OwnedRoot::of(&container)?;
    let (sender, body) = ChannelBody::pair();
    tokio::task::spawn_blocking(move || {
        // An archive that ends early is what tells the client of a failure here.
        let _ = commit::export(root.root(), &mut BodyWriter::new(sender));
    });
    container.emit(&engine.events, "export", &[]);
    Ok(of_type(StatusCode::OK, "application/x-tar", body))
}

/// `docker diff`.
pub(super) async fn changes(engine: &Arc<Engine>, id: &str) -> Result<Response<Body>> {
    let root = OwnedRoot::of(&*engine.container(id)?)?;
    let work = move || commit::diff(root.root()).map_err(|error| refused(&error));
    json_response(&blocking(work).await?)
}
