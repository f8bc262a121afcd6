//! `docker cp`: an archive out of a container, or into it. Neither it nor its processes can lead a
//! path out of its root: `container::transfer` opens every name below a descriptor of it.

use std::{path::PathBuf, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use container::transfer::{self, CopyPath, PathStat};
use serde_json::json;

use super::{
    body::BodyReader,
    call::Call,
    response::{BodyWriter, ChannelBody, empty, of_type},
};
use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    state::status::Phase,
    time,
};

const STAT: &str = "x-docker-container-path-stat";

/// A path in a container, whether that runs or not.
pub(super) fn inside(engine: &Engine, container: &Container, path: &str) -> Result<CopyPath> {
    let of = |error: &(dyn std::error::Error + 'static)| ApiError::of(error);
    if container.status().phase != Phase::Created {
        container.must_be_seen("copy files of")?;
    }
    let path = PathBuf::from("/").join(path);
    let (name, phase, layers) = {
        let record = container.record();
        (record.ledger_name(), record.status.phase, record.layers.clone())
    };
    if phase.is_up() {
        let entry = engine.ledger.find(&name).map_err(|error| of(&error))?;
        let entry = entry.ok_or_else(|| ApiError::conflict("the container has just ended"))?;
        return Ok(CopyPath::Inside(Box::new(entry), path));
    }
    let root = container::detached_root(&layers, &container.directory.join("files"));
    let root = root.map_err(|error| of(&sandbox::Error::from(error)))?;
    Ok(CopyPath::Detached(Arc::new(root), path))
}

fn path_of(call: &Call) -> Result<String> {
    let path = call.query.text("path").map(str::to_owned);
    path.ok_or_else(|| ApiError::invalid("missing parameter: path"))
}

/// Docker's words for a path that is not there.
fn not_found(container: &Container, path: &str, error: &sandbox::Error) -> ApiError {
    let message = sandbox::chain(error);
    match message.contains("No such file") || message.contains("ENOENT") {
        true => ApiError::not_found(format!(
            "Could not find the file {path} in container {}",
            container.id
        )),
        false => ApiError::internal(message),
    }
}

/// What a path refers to; a link at its end is followed once, as far as the client's copy does.
async fn look(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<(CopyPath, PathStat)> {
    let (engine, container, path) = (Arc::clone(engine), engine.container(id)?, path_of(call)?);
    let look = move || {
        let inside = inside(&engine, &container, &path)?;
        let stat = transfer::stat(&inside).map_err(|error| not_found(&container, &path, &error))?;
        Ok((inside, stat))
    };
    tokio::task::spawn_blocking(look).await.map_err(|error| ApiError::of(&error))?
}

/// The mode as Go's os.FileMode has it: permissions below, the type in its own bits.
fn go_mode(mode: u32) -> u32 {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const FIFO: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SET_UID: u32 = 1 << 23;
    const SET_GID: u32 = 1 << 22;
    const CHARACTER: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let kind = match mode & 0o170_000 {
        0o040_000 => DIRECTORY,
        0o120_000 => SYMLINK,
        0o060_000 => DEVICE,
        0o020_000 => DEVICE | CHARACTER,
        0o010_000 => FIFO,
        0o140_000 => SOCKET,
        _ => 0,
    };
    let bit = |unix: u32, go: u32| if mode & unix == 0 { 0 } else { go };
    mode & 0o777 | kind | bit(0o4000, SET_UID) | bit(0o2000, SET_GID) | bit(0o1000, STICKY)
}

fn header(stat: &PathStat) -> HeaderValue {
    let value = json!({
        "name": stat.name.to_string_lossy(),
        "size": stat.size,
        "mode": go_mode(stat.mode),
        "mtime": time::text(stat.modified),
        "linkTarget": stat.link.to_string_lossy(),
    });
    let encoded = STANDARD.encode(value.to_string());
    HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

pub(super) async fn head(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let (_, stat) = look(engine, id, call).await?;
    let mut response = empty(StatusCode::OK);
    response.headers_mut().insert(STAT, header(&stat));
    Ok(response)
}

pub(super) async fn get(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let (inside, stat) = look(engine, id, call).await?;
    let (sender, body) = ChannelBody::pair();
    tokio::task::spawn_blocking(move || {
        // An archive that ends early is what tells the client of a failure here.
        let _ = transfer::pack(&inside, BodyWriter::new(sender));
    });
    let mut response = of_type(StatusCode::OK, "application/x-tar", body);
    response.headers_mut().insert(STAT, header(&stat));
    Ok(response)
}

pub(super) async fn put(
    engine: &Arc<Engine>,
    id: &str,
    call: &Call,
    body: Body,
) -> Result<Response<Body>> {
    let (engine, container, path) = (Arc::clone(engine), engine.container(id)?, path_of(call)?);
    let reader = BodyReader::new(body);
    let unpack = move || {
        let inside = inside(&engine, &container, &path)?;
        let stat = match transfer::stat(&inside) {
            Ok(stat) => stat,
            Err(error) => return Err(not_found(&container, &path, &error)),
        };
        if !matches!(stat.mode & 0o170_000, 0o040_000 | 0o120_000) {
            return Err(ApiError::invalid("extraction point is not a directory"));
        }
        if container.record().host.readonly_rootfs == Some(true) {
            return Err(ApiError::forbidden("container rootfs is marked read-only"));
        }
        transfer::unpack(reader, &inside).map_err(|error| ApiError::invalid(sandbox::chain(&error)))
    };
    let unpacked = tokio::task::spawn_blocking(unpack).await;
    unpacked.map_err(|error| ApiError::of(&error))??;
    Ok(empty(StatusCode::OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_go() {
        assert_eq!(go_mode(0o100_644), 0o644);
        assert_eq!(go_mode(0o040_755), 1 << 31 | 0o755);
        assert_eq!(go_mode(0o120_777), 1 << 27 | 0o777);
        assert_eq!(go_mode(0o104_755), 1 << 23 | 0o755);
    }
}
