//! Question 1: namespaces and names.

use std::path::PathBuf;

use container::{
    Namespace, Namespaces,
    namespaces::{Clock, TimeOffset},
    spec::Boundary,
};
use nix::unistd::Uid;

use crate::{
    config::{Config, NamespaceEntry},
    error::{Result, property},
};

pub(super) fn boundary(config: &Config) -> Result<Boundary> {
    let mut namespaces = Namespaces::shared();
    let mut seen = Vec::new();
    for (number, entry) in config.linux.namespaces.iter().enumerate() {
        let place = |name| format!("linux.namespaces[{number}].{name}");
        let of_spec = match &*entry.kind {
            "mount" => &mut namespaces.mount,
            "uts" => &mut namespaces.uts,
            "ipc" => &mut namespaces.ipc,
            "pid" => &mut namespaces.pid,
            "network" => &mut namespaces.net,
            "user" => &mut namespaces.user,
            "cgroup" => &mut namespaces.cgroup,
            "time" => &mut namespaces.time,
            other => {
                return Err(property(place("type"), format!("{other:?} is not a namespace")));
            }
        };
        if seen.contains(&&*entry.kind) {
            return Err(property(place("type"), format!("{:?} is there twice", entry.kind)));
        }
        seen.push(&*entry.kind);
        *of_spec = match source(entry) {
            None => Namespace::New,
            Some(path) => joined(path, &entry.kind).map_err(|why| property(place("path"), why))?,
        };
    }
    check_user(config, &namespaces)?;
    let own_names = namespaces.uts != Namespace::Shared;
    for (name, value) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        if value.as_ref().is_some_and(|value| !value.is_empty()) && !own_names {
            return Err(property(name, "it needs a uts namespace in linux.namespaces"));
        }
    }
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let (hostname, domainname) = (given(&config.hostname), given(&config.domainname));
    let time_offsets = time_offsets(config, &namespaces.time)?;
    Ok(Boundary { namespaces, hostname, domainname, time_offsets })
}

/// The namespace at `path`, which has to be of that type.
fn joined(path: PathBuf, wanted: &str) -> Result<Namespace, String> {
    if !path.is_absolute() {
        return Err("it is not an absolute path".into());
    }
    let found = match container::namespace_kind(&path) {
        Ok("mnt") => "mount",
        Ok("net") => "network",
        Ok(kind) => kind,
        Err(error) => return Err(sandbox::chain(&error)),
    };
    match found == wanted {
        true => Ok(Namespace::Joined(path)),
        false => Err(format!("{path:?} is a namespace of type {found:?}, not {wanted:?}")),
    }
}

/// A new user namespace and the maps need each other (config-linux.md, "User namespace mappings").
fn check_user(config: &Config, namespaces: &Namespaces) -> Result<()> {
    let linux = &config.linux;
    let maps = [&linux.uid_mappings, &linux.gid_mappings];
    match &namespaces.user {
        Namespace::New if maps.iter().any(|map| map.is_empty()) => {
            let name = if maps[0].is_empty() { "linux.uidMappings" } else { "linux.gidMappings" };
            Err(property(name, "it is empty, and a new user namespace needs mappings"))
        }
        Namespace::Shared if maps.iter().any(|map| !map.is_empty()) => {
            let why = "it needs a user namespace in linux.namespaces";
            Err(property("linux.uidMappings", why))
        }
        Namespace::Shared if !Uid::effective().is_root() => Err(property(
            "linux.namespaces",
            "a caller who is not root needs a user namespace: `spec --rootless` writes one",
        )),
        _ => Ok(()),
    }
}

fn time_offsets(config: &Config, namespace: &Namespace) -> Result<Vec<TimeOffset>> {
    let mut offsets = Vec::new();
    for (name, offset) in &config.linux.time_offsets {
        let place = format!("linux.timeOffsets.{name}");
        let clock = match &**name {
            "monotonic" => Clock::Monotonic,
            "boottime" => Clock::Boottime,
            _ => return Err(property(place, "the clocks are monotonic and boottime")),
        };
        if offset.nanosecs >= 1_000_000_000 {
            return Err(property(place, "nanosecs are less than 1000000000"));
        }
        let (seconds, nanoseconds) = (offset.secs, offset.nanosecs);
        offsets.push(TimeOffset { clock, seconds, nanoseconds });
    }
    match offsets.is_empty() || namespace.is_new() {
        true => Ok(offsets),
        false => Err(property("linux.timeOffsets", "it needs a new time namespace")),
    }
}

/// An existing namespace; Go writes an empty path for none.
fn source(entry: &NamespaceEntry) -> Option<PathBuf> {
    entry.path.clone().filter(|path| !path.as_os_str().is_empty())
}
