//! Lists: of repositories, of tags, and of what refers to a manifest.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use image::{digest::Digest, manifest::OCI_INDEX};
use serde_json::json;

use super::{
    error::ApiError,
    response::{json_response, set},
    route::query as value_of,
    shape::Shape,
    state::Registry,
};

/// The part of a sorted list that `n` and `last` ask for, and whether more follows.
fn part(all: Vec<String>, query: Option<&str>) -> Result<(Vec<String>, bool), ApiError> {
    let last = value_of(query, "last").unwrap_or_default();
    let mut rest: Vec<String> = all.into_iter().filter(|name| *name > last).collect();
    let Some(n) = value_of(query, "n") else { return Ok((rest, false)) };
    let n: usize = n.parse().map_err(|_| {
        ApiError::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "n is not a number")
    })?;
    let more = rest.len() > n;
    rest.truncate(n);
    Ok((rest, more && n > 0))
}

fn with_link(
    mut response: Response<Body>,
    path: &str,
    shown: &[String],
    query: Option<&str>,
) -> Response<Body> {
    if let (Some(last), Some(n)) = (shown.last(), value_of(query, "n")) {
        let link = format!("<{path}?n={n}&last={}>; rel=\"next\"", last.replace('/', "%2F"));
        set(&mut response, header::LINK, &link);
    }
    response
}

pub(super) fn catalog(
    registry: &Registry,
    query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    let (shown, more) = part(registry.storage.repositories()?, query)?;
    let response =
        json_response("application/json", json!({ "repositories": shown }).to_string().into());
    Ok(if more { with_link(response, "/v2/_catalog", &shown, query) } else { response })
}

pub(super) fn tags(
    registry: &Registry,
    name: &str,
    query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    if !registry.storage.exists(name) {
        let message = format!("no repository {name}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message));
    }
    let (shown, more) = part(registry.storage.tags(name)?, query)?;
    let body = json!({ "name": name, "tags": shown }).to_string().into();
    let response = json_response("application/json", body);
    let path = format!("/v2/{name}/tags/list");
    Ok(if more { with_link(response, &path, &shown, query) } else { response })
}

pub(super) fn referrers(
    registry: &Registry,
    name: &str,
    subject: &Digest,
    query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    let wanted = value_of(query, "artifactType");
    let mut found = Vec::new();
    for digest in registry.storage.manifests(name)? {
        let Ok(manifest) = registry.storage.manifest(name, &digest) else { continue };
        let Ok(shape) = Shape::read(&manifest.bytes) else { continue };
        if shape.subject.is_none_or(|target| target.digest != *subject) {
            continue;
        }
        let of_config = shape.config.map(|config| config.media_type);
        let artifact_type = shape.artifact_type.or(of_config).filter(|kind| !kind.is_empty());
        if wanted.is_some() && artifact_type != wanted {
            continue;
        }
        let mut entry = json!({
            "mediaType": manifest.media_type,
            "digest": digest,
            "size": manifest.bytes.len(),
        });
        if let Some(kind) = artifact_type {
            entry["artifactType"] = kind.into();
        }
        if let Some(annotations) = shape.annotations {
            entry["annotations"] = annotations.into();
        }
        found.push(entry);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found });
    let mut response = json_response(OCI_INDEX, index.to_string().into());
    if wanted.is_some() {
        let name = header::HeaderName::from_static("oci-filters-applied");
        set(&mut response, name, "artifactType");
    }
    Ok(response)
}
