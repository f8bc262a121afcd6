//! `docker commit`, `docker export` and `docker diff`: what a container's root is, and what it changed
//! there.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use bollard_stubs::models::{ChangeType, ContainerConfig, FilesystemChange};
use container::mount_points;
use image::{
    config::{Execution, History},
    difference::Kind,
    digest::Digest,
    flatten::flatten,
    layer::{ChangesOptions, LayerWriter, changes},
    manifest::Platform,
    one_layer,
    store::{Image, Store, StoreError},
    upper_changes::upper_changes,
};

use super::{
    archive::change,
    error::{ImageError, Result, chain},
    names::{self, name_to_give},
};

/// The root of a container, as directories. Who writes in it meanwhile can make reading it fail: a
/// container that runs is frozen first.
#[derive(Debug, Clone, Copy)]
pub struct ContainerRoot<'a> {
    /// What it has written; may be missing if it never ran.
    pub upper: &'a Path,
    /// The layers of its image, the uppermost first.
    pub lowers: &'a [PathBuf],
}

/// An image that is made of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// The id of the container's image.
    pub image: String,
    /// What the container runs.
    pub config: ContainerConfig,
    /// What the image runs instead, as far as it says something: the request's body.
    pub body: Option<ContainerConfig>,
    /// Lines of a Dockerfile that change the image's config.
    pub changes: Vec<String>,
    /// Who made it.
    pub author: String,
    /// A remark.
    pub comment: String,
    /// The name; empty for none.
    pub repo: String,
    /// Its tag; empty for `latest`.
    pub tag: String,
}

/// Makes an image of a container's root; its id.
///
/// # Errors
///
/// 400 when what is asked for is invalid, 404 when the container's image is gone, and when the root
/// cannot be read.
pub fn commit(store: &Store, root: ContainerRoot<'_>, request: &CommitRequest) -> Result<Digest> {
    let name = match &*request.repo {
        "" => None,
        repo => Some(name_to_give(repo, &request.tag)?),
    };
    let base = names::find(store, &request.image)?.image.image;
    let mut config = base.config.clone();
    let container = execution(&request.config)?;
    let created_by = container.cmd.clone().unwrap_or_default().join(" ");
    config.config = match &request.body {
        Some(body) => merged(execution(body)?, container),
        None => container,
    };
    change(&mut config, &request.changes)?;
    let created = Some(crate::time::now());
    config.created.clone_from(&created);
    config.author.clone_from(&request.author);
    let (author, comment) = (request.author.clone(), request.comment.clone());
    config.history.push(History { created, created_by, author, comment, empty_layer: false });
    let write = |out: &mut dyn Write| {
        write_changes(root, out).map_err(|error| io::Error::other(chain(&*error)))
    };
    let descriptor = one_layer::keep_on_top(store, &base, config, write).map_err(not_written)?;
    let image: Image = store.image_at(&descriptor, &Platform::host())?;
    match &name {
        Some(name) => store.tag(name, &descriptor)?,
        None => store.keep(&descriptor)?,
    }
    // So that its size is known, and its first container starts at once.
    store.unpack(&image)?;
    Ok(image.id()?)
}

fn not_written(error: StoreError) -> ImageError {
    match &error {
        StoreError::Io { source, .. } => {
            ImageError::Failed(format!("the container's changes cannot become a layer: {source}"))
        }
        _ => error.into(),
    }
}

fn write_changes(
    root: ContainerRoot<'_>,
    out: &mut dyn Write,
) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if !root.upper.exists() {
        return Ok(LayerWriter::new(out).finish().map(drop)?);
    }
    let skip = mount_points::find(root.upper, root.lowers)?;
    let upper = File::open(root.upper)?;
    let options = ChangesOptions { clamp: None, skip: &skip };
    Ok(changes(upper.as_fd(), out, &options).map(drop)?)
}

/// What a container runs, as an image has it: Docker's API and the image config have the same names.
fn execution(config: &ContainerConfig) -> Result<Execution> {
    let invalid = |error| ImageError::Invalid(format!("invalid config: {error}"));
    serde_json::to_value(config).and_then(serde_json::from_value).map_err(invalid)
}

/// `new`, and `old` for what it does not say (moby, daemon/commit.go, merge).
fn merged(new: Execution, old: Execution) -> Execution {
    let text = |new: String, old| if new.is_empty() { old } else { new };
    let named = |entry: &String| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env = new.env;
    let names: Vec<String> = env.iter().map(named).collect();
    env.extend(old.env.into_iter().filter(|entry| !names.contains(&named(entry))));
    let cmd = match (&new.cmd, &new.entrypoint) {
        // The command was for the other entrypoint.
        (None, Some(_)) => None,
        _ => new.cmd.clone().or(old.cmd),
    };
    Execution {
        user: text(new.user, old.user),
        exposed_ports: old.exposed_ports.into_iter().chain(new.exposed_ports).collect(),
        env,
        entrypoint: new.entrypoint.or(old.entrypoint),
        cmd,
        volumes: old.volumes.into_iter().chain(new.volumes).collect(),
        working_dir: text(new.working_dir, old.working_dir),
        labels: old.labels.into_iter().chain(new.labels).collect(),
        stop_signal: text(new.stop_signal, old.stop_signal),
        healthcheck: new.healthcheck.or(old.healthcheck),
        shell: new.shell.or(old.shell),
        on_build: new.on_build.or(old.on_build),
    }
}

/// Writes the whole root of a container as a tar archive.
///
/// # Errors
///
/// When something of it cannot be read, or the client is gone.
pub fn export(root: ContainerRoot<'_>, out: &mut dyn Write) -> Result<()> {
    let upper = root.upper.exists().then(|| root.upper.to_owned());
    let layers: Vec<PathBuf> = upper.into_iter().chain(root.lowers.iter().cloned()).collect();
    let written = flatten(&layers, out).and_then(Write::flush);
    written.map_err(ImageError::io("export the container"))
}

/// What a container has changed in its root, sorted by path.
///
/// # Errors
///
/// When something of it cannot be read, or there are more than a million changes.
pub fn diff(root: ContainerRoot<'_>) -> Result<Vec<FilesystemChange>> {
    if !root.upper.exists() {
        return Ok(Vec::new());
    }
    let failed = ImageError::io("look for changes of the container");
    let skip = mount_points::find(root.upper, root.lowers).map_err(&failed)?;
    let mut found = upper_changes(root.upper, root.lowers, &skip).map_err(failed)?;
    // A directory in which there is nothing new but mount points has not been changed by the container.
    let holds_points = |path: &[u8]| {
        skip.iter()
            .any(|point| Path::new(point).parent() == Some(Path::new(OsStr::from_bytes(path))))
    };
    let paths: Vec<Vec<u8>> = found.keys().cloned().collect();
    let is_alone = |path: &[u8]| {
        !paths
            .iter()
            .any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/")))
    };
    found.retain(|path, kind| *kind != Kind::Changed || !holds_points(path) || !is_alone(path));
    let change = |(path, kind): (Vec<u8>, Kind)| FilesystemChange {
        path: format!("/{}", String::from_utf8_lossy(&path)),
        kind: match kind {
            Kind::Changed => ChangeType::_0,
            Kind::Added => ChangeType::_1,
            Kind::Deleted => ChangeType::_2,
        },
    };
    Ok(found.into_iter().map(change).collect())
}
