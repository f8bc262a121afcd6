//! What a new volume begins with: what the image has at its place, as Docker does.

use std::{fs, os::fd::OwnedFd, path::Path, sync::Arc};

use bollard_stubs::models::MountPoint;
use container::transfer::{self, CopyPath};

use crate::{
    engine::Engine,
    error::{ApiError, Result},
    state::record::Record,
};

/// Copies the image's files into the volumes of a container that have none yet. `kept` is the
/// directory of the container's own files.
///
/// # Errors
///
/// 500 when they cannot be read or written.
pub(super) fn fill(engine: &Engine, record: &Record, kept: &Path) -> Result<()> {
    let is_empty = |name: &String| {
        fs::read_dir(engine.volumes.data(name)).is_ok_and(|mut listed| listed.next().is_none())
    };
    let is_to_be_filled = |mount: &&MountPoint| {
        mount.name.as_ref().is_some_and(is_empty) && !is_left_empty(record, mount)
    };
    let empty: Vec<&MountPoint> = record.mounts.iter().filter(is_to_be_filled).collect();
    if empty.is_empty() {
        return Ok(());
    }
    let of = |error: container::Error| ApiError::of(&sandbox::Error::from(error));
    let root = Arc::new(container::detached_root(&record.layers, kept).map_err(of)?);
    for mount in empty {
        let (Some(name), Some(destination)) = (&mount.name, &mount.destination) else { continue };
        // A link at the place is followed, within the root.
        let place = CopyPath::Detached(Arc::clone(&root), Path::new(destination).join("."));
        let found = transfer::stat(&place);
        let is_directory = found.is_ok_and(|stat| stat.mode & 0o170_000 == 0o040_000);
        if is_directory {
            let data = fs::File::open(engine.volumes.data(name));
            let data = data.map_err(ApiError::failed("open the volume"))?;
            let copied = transfer::fill(&place, &OwnedFd::from(data));
            copied.map_err(|error| ApiError::internal(sandbox::chain(&error)))?;
        }
    }
    Ok(())
}

/// Whether its client wants it without the image's files: `-v NAME:PATH:nocopy`, or `volume-nocopy`
/// of `--mount`.
fn is_left_empty(record: &Record, mount: &MountPoint) -> bool {
    let at = mount.destination.as_deref();
    let bound = record.host.binds.iter().flatten().any(|text| {
        let mut parts = text.split(':').skip(1);
        let is_it = parts.next() == at;
        is_it && parts.next().is_some_and(|options| options.split(',').any(|it| it == "nocopy"))
    });
    let mounted = record.host.mounts.iter().flatten().any(|asked| {
        let options = asked.volume_options.as_ref();
        asked.target.as_deref() == at && options.is_some_and(|it| it.no_copy == Some(true))
    });
    bound || mounted
}
