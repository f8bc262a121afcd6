//! Question 1: namespaces and names.

use std::path::PathBuf;

use container::{Namespace, Namespaces, spec::Boundary};

use crate::{
    config::{Config, NamespaceEntry},
    error::{Result, property},
};

pub(super) fn boundary(config: &Config) -> Result<Boundary> {
    use Namespace::Shared;
    let mut namespaces = Namespaces {
        mount: Shared,
        uts: Shared,
        ipc: Shared,
        pid: Shared,
        net: Shared,
        user: Shared,
        cgroup: Shared,
    };
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
            "time" => return Err(property(place("type"), "isolab makes no time namespace")),
            other => {
                return Err(property(place("type"), format!("{other:?} is not a namespace")));
            }
        };
        if seen.contains(&&*entry.kind) {
            return Err(property(place("type"), format!("{:?} is there twice", entry.kind)));
        }
        seen.push(&*entry.kind);
        *of_spec = source(entry).map_or(Ok(Namespace::New), |path| match path.is_absolute() {
            true => Ok(Namespace::Joined(path)),
            false => Err(property(place("path"), "it is not an absolute path")),
        })?;
    }
    let own_names = namespaces.uts != Shared;
    for (name, value) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        if value.as_ref().is_some_and(|value| !value.is_empty()) && !own_names {
            return Err(property(name, "it needs a uts namespace in linux.namespaces"));
        }
    }
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let (hostname, domainname) = (given(&config.hostname), given(&config.domainname));
    Ok(Boundary { namespaces, hostname, domainname })
}

/// An existing namespace; Go writes an empty path for none.
fn source(entry: &NamespaceEntry) -> Option<PathBuf> {
    entry.path.clone().filter(|path| !path.as_os_str().is_empty())
}
