//! Images from and to registries, and from archives of files.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Response},
};

use super::{
    body::{self, BodyReader},
    call::Call,
    images::emit,
    progress::{blocking, lines, refused},
    response::json,
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    images::{
        ImageError,
        archive::{self, ImportRequest},
        pull::{self, PullRequest},
        push::{self, PushRequest},
        registries::{Registries, RegistryAuth},
    },
};

/// How this engine talks to registries.
pub(super) fn registries(engine: &Engine) -> Registries {
    Registries { insecure: engine.options.insecure.clone() }
}

/// The value of a header, or nothing.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn auth(call: &Call) -> Result<RegistryAuth> {
    let auth = RegistryAuth::of_header(header(&call.headers, "x-registry-auth"));
    auth.map_err(|error| refused(&error))
}

/// `docker pull`, and `docker import`.
pub(super) async fn create(
    engine: &Arc<Engine>,
    call: &Call,
    body: Body,
) -> Result<Response<Body>> {
    let text = |key: &str| call.query.text(key).unwrap_or_default().to_owned();
    match (call.query.text("fromImage"), call.query.text("fromSrc")) {
        (Some(image), _) => {
            let request = PullRequest {
                image: image.to_owned(),
                tag: text("tag"),
                platform: text("platform"),
                auth: auth(call)?,
            };
            pull(engine, request).await
        }
        (None, Some("-")) => {
            let request = ImportRequest {
                repo: text("repo"),
                tag: text("tag"),
                message: text("message"),
                changes: call.query.all("changes").map(str::to_owned).collect(),
                platform: text("platform"),
            };
            import(engine, request, body).await
        }
        (None, Some(_)) => Err(ApiError::invalid(
            "an archive at a URL is not supported: fetch it, and send it as the body with fromSrc=-",
        )),
        (None, None) => Err(ApiError::invalid("missing parameter: fromImage or fromSrc")),
    }
}

async fn pull(engine: &Arc<Engine>, request: PullRequest) -> Result<Response<Body>> {
    let engine = Arc::clone(engine);
    lines(move |lines| {
        let store = engine.store().map_err(|error| ImageError::Failed(error.message))?;
        pull::pull(&store, &registries(&engine), &request, lines)?;
        let name = match &*request.tag {
            "" => request.image.clone(),
            digest if digest.contains(':') => format!("{}@{digest}", request.image),
            tag => format!("{}:{tag}", request.image),
        };
        emit(&engine, "pull", &name, &name);
        Ok(())
    })
    .await
}

async fn import(
    engine: &Arc<Engine>,
    request: ImportRequest,
    body: Body,
) -> Result<Response<Body>> {
    let (engine, reader) = (Arc::clone(engine), BodyReader::new(body));
    lines(move |lines| {
        let store = engine.store().map_err(|error| ImageError::Failed(error.message))?;
        archive::import(&store, reader, &request, lines)?;
        emit(&engine, "import", &request.repo, &request.repo);
        Ok(())
    })
    .await
}

/// `docker push`.
pub(super) async fn push(
    engine: &Arc<Engine>,
    name: String,
    call: &Call,
) -> Result<Response<Body>> {
    let tag = call.query.text("tag").unwrap_or_default().to_owned();
    let request = PushRequest { name, tag, auth: auth(call)? };
    let engine = Arc::clone(engine);
    lines(move |lines| {
        let store = engine.store().map_err(|error| ImageError::Failed(error.message))?;
        push::push(&store, &registries(&engine), &request, lines)?;
        emit(&engine, "push", &request.name, &request.name);
        Ok(())
    })
    .await
}

/// `docker login`: whether a registry accepts what the client would show it. Nothing is kept here.
pub(super) async fn login(engine: &Arc<Engine>, body: Body) -> Result<Response<Body>> {
    let bytes = body::small(body).await?;
    let auth = RegistryAuth::of_body(&bytes).map_err(|error| refused(&error))?;
    let registries = registries(engine);
    json(&blocking(move || registries.check(&auth).map_err(|error| refused(&error))).await?)
}
