//! Question 2: the cgroup, and what is written into its files.

use std::path::{Component, Path, PathBuf};

use container::{
    cgroup::CgroupFile,
    devices::{Access, DeviceKind, DeviceRule},
    spec::Budget,
};
use sandbox::Limits;

use crate::{
    config::{Config, Resources},
    error::{Result, property},
};

mod v1;
mod v2;

pub(super) fn budget(config: &Config, id: &str) -> Result<Budget> {
    let resources = config.linux.resources.clone().unwrap_or_default();
    Ok(Budget {
        limits: Limits::default(),
        usual_pids: None,
        devices: devices(&resources),
        cgroup_path: Some(path(config.linux.cgroups_path.as_deref(), id)?),
        cgroup_files: files(&resources)?,
        ..Budget::default()
    })
}

/// Where its cgroup is in each hierarchy: below the root, whatever `..` the path has.
fn path(given: Option<&str>, id: &str) -> Result<PathBuf> {
    let given = given.filter(|path| !path.is_empty()).unwrap_or(id);
    let mut path = PathBuf::from("/");
    for component in Path::new(given).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            _ => {}
        }
    }
    match path.file_name() {
        Some(_) => Ok(path),
        None => Err(property("linux.cgroupsPath", format!("{given:?} is the root of all cgroups"))),
    }
}

/// The files of this host's version, in the order in which they are written.
pub(crate) fn files(resources: &Resources) -> Result<Vec<CgroupFile>> {
    match host_is_v2() {
        true => v2::files(resources),
        false => v1::files(resources),
    }
}

/// Whether memory is limited by version 2.
fn host_is_v2() -> bool {
    let all = container::mounts::all().unwrap_or_default();
    !all.iter().any(|mount| {
        mount.kind == "cgroup" && mount.super_options.split(',').any(|it| it == "memory")
    })
}

/// The rules of the configuration, then what every container may use (config-linux.md, "Default
/// Devices"), as runc does.
fn devices(resources: &Resources) -> Vec<DeviceRule> {
    let mut rules = resources.devices.clone();
    let any = None;
    let usual = [
        // Making nodes of any device gives no access to them.
        (DeviceKind::Char, any, any, Access::MKNOD),
        (DeviceKind::Block, any, any, Access::MKNOD),
        (DeviceKind::Char, Some(1), Some(3), Access::ALL),
        (DeviceKind::Char, Some(1), Some(5), Access::ALL),
        (DeviceKind::Char, Some(1), Some(7), Access::ALL),
        (DeviceKind::Char, Some(1), Some(8), Access::ALL),
        (DeviceKind::Char, Some(1), Some(9), Access::ALL),
        (DeviceKind::Char, Some(5), Some(0), Access::ALL),
        (DeviceKind::Char, Some(5), Some(2), Access::ALL),
        (DeviceKind::Char, Some(136), any, Access::ALL),
    ];
    rules.extend(usual.map(|(kind, major, minor, access)| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access,
    }));
    rules
}

/// A file that every kernel with the controller has.
fn required(name: impl Into<String>, value: impl std::fmt::Display) -> CgroupFile {
    CgroupFile { name: name.into(), value: value.to_string(), is_optional: false }
}

/// -1 as the word of version 2 and of the pids controller.
fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}
