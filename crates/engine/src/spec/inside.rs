//! Question 3: what is mounted in its root.

use std::path::{Path, PathBuf};

use bollard_stubs::models::{MountPoint, MountType};
use container::{Mount, Spec, devices::Access};

use super::refused;
use crate::{
    error::{ApiError, Result},
    state::record::Record,
};

/// What a tmpfs has unless its options say otherwise, as with Docker.
const TMPFS: [&str; 3] = ["nosuid", "nodev", "noexec"];

pub(super) fn apply(spec: &mut Spec, record: &Record) -> Result<()> {
    let host = &record.host;
    spec.inside.read_only = host.readonly_rootfs.unwrap_or(false);
    if let Some(bytes) = host.shm_size.filter(|bytes| *bytes > 0) {
        let shm = |mount: &&mut Mount| mount.destination == Path::new("/dev/shm");
        if let Some(mount) = spec.inside.mounts.iter_mut().find(shm) {
            mount.options.retain(|option| !option.starts_with("size="));
            mount.options.push(format!("size={bytes}"));
        }
    }
    if host.ipc_mode.as_deref() == Some("host") {
        spec.inside.mounts.retain(|mount| mount.destination != Path::new("/dev/shm"));
        spec.inside.mounts.push(bind("/dev/shm".into(), "/dev/shm".into(), false));
    }
    if let Some(paths) = &host.masked_paths {
        spec.inside.masked_paths = paths.iter().map(PathBuf::from).collect();
    }
    if let Some(paths) = &host.readonly_paths {
        spec.inside.read_only_paths = paths.iter().map(PathBuf::from).collect();
    }
    let mut asked: Vec<Mount> = record.mounts.iter().filter_map(of_point).collect();
    for (path, options) in host.tmpfs.iter().flatten() {
        asked.push(tmpfs(path, options)?);
    }
    for mount in host.mounts.iter().flatten().filter(|it| it.typ == Some(MountType::TMPFS)) {
        let options = mount.tmpfs_options.clone().unwrap_or_default();
        let mut made = tmpfs(mount.target.as_deref().unwrap_or_default(), "")?;
        let size = options.size_bytes.map(|size| format!("size={size}"));
        let mode = options.mode.map(|mode| format!("mode={mode:o}"));
        made.options.extend(size.into_iter().chain(mode));
        if mount.read_only == Some(true) {
            made.options.push("ro".into());
        }
        asked.push(made);
    }
    // What lies deeper is mounted later, whatever the order of the options.
    asked.sort_by_key(|mount| mount.destination.components().count());
    for mount in asked {
        spec.inside.mounts.retain(|usual| usual.destination != mount.destination);
        if mount.destination == Path::new("/dev") {
            spec.inside.devices.clear();
        }
        spec.inside.mounts.push(mount);
    }
    for device in host.devices.iter().flatten() {
        let source = device.path_on_host.as_deref().unwrap_or_default();
        let destination = device.path_in_container.as_deref().filter(|path| !path.is_empty());
        let letters = device.cgroup_permissions.clone().filter(|letters| !letters.is_empty());
        let access = letters.map_or(Ok(Access::ALL), Access::try_from);
        let access = access.map_err(|_| {
            ApiError::invalid(format!("invalid device mode: {:?}", device.cgroup_permissions))
        })?;
        let added =
            spec.add_device(source.as_ref(), destination.unwrap_or(source).as_ref(), access);
        added.map_err(refused)?;
    }
    Ok(())
}

fn bind(source: PathBuf, destination: PathBuf, read_only: bool) -> Mount {
    let mut options = vec!["rbind".to_owned()];
    options.extend(read_only.then(|| "ro".to_owned()));
    Mount { destination, kind: "bind".into(), source, options }
}

/// A bind mount or a volume; a tmpfs is made from what the client said of it.
pub(super) fn of_point(point: &MountPoint) -> Option<Mount> {
    let (source, destination) = (point.source.as_ref()?, point.destination.as_ref()?);
    let is_tmpfs = point.typ.as_deref() == Some("tmpfs");
    let destination = container::without_steps_up(Path::new(destination));
    (!is_tmpfs).then(|| bind(source.into(), destination, point.rw == Some(false)))
}

/// `--tmpfs PATH:OPTIONS`.
fn tmpfs(path: &str, options: &str) -> Result<Mount> {
    if !path.starts_with('/') {
        return Err(ApiError::invalid(format!(
            "invalid mount config for type \"tmpfs\": invalid mount path: '{path}' mount path must \
             be absolute"
        )));
    }
    let destination = container::without_steps_up(Path::new(path));
    let mut all: Vec<String> = TMPFS.map(str::to_owned).into();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let key = option.split_once('=').map_or(option, |(key, _)| key);
        match (key, option.contains('=')) {
            ("exec" | "suid" | "dev", false) => all.retain(|usual| *usual != format!("no{key}")),
            ("rw" | "noexec" | "nosuid" | "nodev", false) => {}
            ("ro" | "noatime" | "nodiratime" | "strictatime", false) => all.push(option.into()),
            ("size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "huge", true) => {
                all.push(option.into());
            }
            _ => return Err(ApiError::invalid(format!("invalid tmpfs option [\"{option}\"]"))),
        }
    }
    Ok(Mount { destination, kind: "tmpfs".into(), source: "tmpfs".into(), options: all })
}
