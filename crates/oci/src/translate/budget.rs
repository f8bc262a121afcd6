//! Question 2: the cgroup, and what is written into its files.

use std::{
    fmt::Display,
    path::{Component, Path, PathBuf},
};

use container::{
    cgroup::CgroupFile,
    devices::{Access, DeviceKind, DeviceRule},
    spec::Budget,
};
use sandbox::Limits;

use crate::{
    config::{BlockIo, Config, Cpu, Resources},
    error::{Result, property},
    systemd::Unit,
};

pub(crate) mod systemd;
mod v1;
mod v2;

pub(super) fn budget(config: &Config, id: &str, unit: Option<&Unit>) -> Result<Budget> {
    let resources = config.linux.resources.clone().unwrap_or_default();
    Ok(Budget {
        limits: Limits::default(),
        usual_pids: None,
        devices: devices(&resources),
        cgroup_path: Some(match unit {
            Some(unit) => unit.whole_path()?,
            None => path(config.linux.cgroups_path.as_deref(), id)?,
        }),
        cgroup_has_others: unit.is_some(),
        cgroup_files: files(&resources, &resources)?,
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

/// The files of this host's version for `changes`, in the order in which they are written. `all` is what
/// holds with the changes.
pub(crate) fn files(changes: &Resources, all: &Resources) -> Result<Vec<CgroupFile>> {
    check(changes)?;
    check_swap(all)?;
    match host_is_v2() {
        true => v2::files(changes, all),
        false => v1::files(changes),
    }
}

/// Swap is counted together with memory.
fn check_swap(all: &Resources) -> Result<()> {
    let memory = all.memory.clone().unwrap_or_default();
    let positive = |value: Option<i64>| value.filter(|it| *it > 0);
    match (positive(memory.limit), positive(memory.swap)) {
        (Some(limit), Some(swap)) if swap < limit => {
            let why = format!("memory and swap together, {swap}, are less than memory, {limit}");
            Err(property("linux.resources.memory.swap", why))
        }
        _ => Ok(()),
    }
}

/// What no version does.
fn check(resources: &Resources) -> Result<()> {
    let memory = resources.memory.as_ref();
    if memory.and_then(|it| given(it.kernel)).is_some_and(|it| it > 0) {
        let why = "Linux limits it no more (since 5.16): leave it out";
        return Err(property("linux.resources.memory.kernel", why));
    }
    if memory.is_some_and(|it| it.use_hierarchy == Some(false)) {
        let why = "Linux counts a cgroup with those below it (since 5.11): leave it out";
        return Err(property("linux.resources.memory.useHierarchy", why));
    }
    for (number, limit) in resources.hugepage_limits.iter().enumerate() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric();
        if limit.page_size.is_empty() || !limit.page_size.bytes().all(is_plain) {
            let place = format!("linux.resources.hugepageLimits[{number}].pageSize");
            return Err(property(
                place,
                format!("{:?} is not a size such as 2MB", limit.page_size),
            ));
        }
    }
    Ok(())
}

/// Whether memory is limited by version 2.
pub(crate) fn host_is_v2() -> bool {
    container::cgroup::memory_is_in_v2()
}

/// The rules of the configuration, then what every container may use (config-linux.md, "Default
/// Devices"), as runc does.
pub(crate) fn devices(resources: &Resources) -> Vec<DeviceRule> {
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
fn required(name: impl Into<String>, value: impl Display) -> CgroupFile {
    let (name, value) = (name.into(), value.to_string());
    CgroupFile { name, value, is_optional: false, instead: None }
}

/// A file without which a kernel does the same.
fn optional(name: impl Into<String>, value: impl Display) -> CgroupFile {
    CgroupFile { is_optional: true, ..required(name, value) }
}

/// Go writes 0 for what is not given.
fn given(value: Option<i64>) -> Option<i64> {
    value.filter(|it| *it != 0)
}

/// -1 as the word of version 2 and of the pids controller.
fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

/// A line about one disk.
fn at_device(major: i64, minor: i64, value: impl Display) -> String {
    format!("{major}:{minor} {value}")
}

/// Weights of disks are from 10 to 1000, and the kernel has none for leaves any more.
fn check_weights(io: &BlockIo) -> Result<()> {
    let place = |name: &str| format!("linux.resources.blockIO.{name}");
    let devices = &io.weight_device;
    let mut leaves = devices.iter().map(|one| one.leaf_weight).chain([io.leaf_weight]);
    if leaves.any(|it| it.unwrap_or_default() != 0) {
        let why = "Linux has no weights for leaves (since 5.0): leave it out";
        return Err(property(place("leafWeight"), why));
    }
    let is_wrong = |weight: &u16| !(10..=1000).contains(weight);
    if let Some(weight) = io.weight.filter(|it| *it != 0).filter(is_wrong) {
        return Err(property(place("weight"), format!("{weight} is not from 10 to 1000")));
    }
    match devices.iter().any(|one| one.weight.as_ref().is_none_or(is_wrong)) {
        true => Err(property(place("weightDevice"), "a weight is from 10 to 1000")),
        false => Ok(()),
    }
}

/// The same files in both versions.
fn cpusets(cpu: &Cpu) -> impl Iterator<Item = CgroupFile> {
    let lists = [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)];
    let given = |(name, list): (&'static str, &Option<String>)| {
        let list = list.as_ref().filter(|list| !list.is_empty())?;
        Some(required(name, list))
    };
    lists.into_iter().filter_map(given)
}

/// Pages in use, and those that are reserved for a mapping, which older kernels do not limit.
fn hugepages<'a>(
    resources: &'a Resources,
    limit: &'a str,
) -> impl Iterator<Item = CgroupFile> + 'a {
    resources.hugepage_limits.iter().flat_map(move |one| {
        let prefix = format!("hugetlb.{}", one.page_size);
        [
            required(format!("{prefix}.{limit}"), one.limit),
            optional(format!("{prefix}.rsvd.{limit}"), one.limit),
        ]
    })
}

/// The same file in both versions.
fn rdma(resources: &Resources) -> impl Iterator<Item = CgroupFile> + '_ {
    resources.rdma.iter().filter_map(|(device, limits)| {
        let named = [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)];
        let part = |(name, number): (&str, Option<u32>)| Some(format!(" {name}={}", number?));
        let limits: String = named.into_iter().filter_map(part).collect();
        (!limits.is_empty()).then(|| required("rdma.max", format!("{device}{limits}")))
    })
}
