//! `mounts` (config.md, "Mounts"). The options themselves are read by `container::mount`.

use std::{os::fd::OwnedFd, path::Path};

use container::{
    Mount,
    privileges::{IdMap, IdMaps},
};
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::fstat,
};

use super::destination;
use crate::{
    bundle::Bundle,
    config::{self, Config},
    error::{Result, property},
};

/// The mount `given`, after `others`.
pub(super) fn mount(
    (bundle, root): (&Bundle, Option<&OwnedFd>),
    others: &[Mount],
    given: &config::Mount,
    number: usize,
) -> Result<Mount> {
    let has = |word: &str| given.options.iter().any(|it| it == word);
    let kind = match given.kind.as_deref() {
        _ if has("bind") || has("rbind") => "bind",
        Some(kind) if !kind.is_empty() && kind != "none" => kind,
        _ if has("remount") => "none",
        _ => {
            let why = "it is missing, and the mount is neither a bind mount nor a remount";
            return Err(property(format!("mounts[{number}].type"), why));
        }
    };
    let source = given.source.clone().unwrap_or_else(|| kind.into());
    let source = if kind == "bind" { bundle.path(&source) } else { source };
    // Older configurations name a place below the root without the first slash.
    let destination = destination::within(root, others, &given.destination);
    if destination == Path::new("/") {
        let why =
            format!("{:?} is the root itself, on which nothing is mounted", given.destination);
        return Err(property(format!("mounts[{number}].destination"), why));
    }
    let (kind, options) = (kind.to_owned(), given.options.clone());
    adapted((bundle, root), Mount { destination, kind, source, options })
}

/// The mount as this kernel and these namespaces allow it.
fn adapted((bundle, root): (&Bundle, Option<&OwnedFd>), mut mount: Mount) -> Result<Mount> {
    let config = &bundle.config;
    match &*mount.kind {
        "devpts" => {
            let is_group = |option: &String| option.starts_with("gid=");
            let unmapped = |option: &String| is_group(option) && !is_mapped(config, option);
            // Every devpts is a new one (devpts.rst). Group 5, tty, may not be in a user namespace.
            mount.options.retain(|option| option != "newinstance" && !unmapped(option));
        }
        "tmpfs" if !mount.options.iter().any(|option| option.starts_with("mode=")) => {
            // As runc and crun do: /run stays 755 and /tmp 1777.
            if let Some(mode) = root.and_then(|root| mode_below(root, &mount.destination)) {
                mount.options.push(format!("mode={mode:04o}"));
            }
        }
        "sysfs" if may_not_mount_sysfs(config) => {
            (mount.kind, mount.source) = ("bind".into(), "/sys".into());
            mount.options.push("rbind".into());
        }
        _ => {}
    }
    Ok(mount)
}

/// Whether a group is in the container's user namespace. One that is joined is not known here.
fn is_mapped(config: &Config, option: &str) -> bool {
    let Some(user) = config.linux.namespaces.iter().find(|entry| entry.kind == "user") else {
        return true;
    };
    let id = option.strip_prefix("gid=").and_then(|id| id.parse::<u32>().ok());
    let is_in =
        |map: &IdMap, id: u32| id.checked_sub(map.container_id).is_some_and(|it| it < map.size);
    user.path.as_ref().is_none_or(|path| path.as_os_str().is_empty())
        && id.is_some_and(|id| config.linux.gid_mappings.iter().any(|map| is_in(map, id)))
}

/// sysfs shows a network namespace and can be mounted only by its owner: not in a user namespace with
/// the host's network (sysfs(5)).
fn may_not_mount_sysfs(config: &Config) -> bool {
    let is_new = |kind: &str| {
        let entry = config.linux.namespaces.iter().find(|entry| entry.kind == kind);
        entry.is_some_and(|it| it.path.as_ref().is_none_or(|path| path.as_os_str().is_empty()))
    };
    is_new("user") && !is_new("network")
}

/// The permissions of the directory that the root has there.
fn mode_below(root: &OwnedFd, destination: &Path) -> Option<u32> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags).resolve(resolve);
    // If there is none it is made, and the kernel's default holds.
    let found = openat2(root, destination, how).and_then(fstat);
    found.ok().map(|found| found.st_mode & 0o7777)
}

/// `uidMappings` and `gidMappings`.
pub(super) fn id_maps(given: &config::Mount, number: usize) -> Result<Option<IdMaps>> {
    let (uid, gid) = (given.uid_mappings.clone(), given.gid_mappings.clone());
    let place = |name: &str| format!("mounts[{number}].{name}");
    let is_bind = given.is_bind();
    match (uid.is_empty(), gid.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Err(property(place("uidMappings"), "they are missing beside gidMappings")),
        (false, true) => Err(property(place("gidMappings"), "they are missing beside uidMappings")),
        (false, false) if !is_bind => {
            let why = "only a bind mount shows files that have owners already";
            Err(property(place("uidMappings"), why))
        }
        (false, false) => Ok(Some(IdMaps { uid, gid })),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    /// The mount in a bundle with these namespaces.
    fn of(mount: &Value, linux: &Value) -> Result<Mount> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("rootfs/var")).unwrap();
        let config = json!({
            "ociVersion": "1.0.2", "root": { "path": "rootfs" }, "mounts": [mount], "linux": linux,
        });
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let bundle = Bundle::open(folder.path()).unwrap();
        let root = destination::root(&bundle.rootfs().unwrap());
        super::mount((&bundle, root.as_ref()), &[], &bundle.config.mounts[0], 0)
    }

    #[test]
    fn a_destination_stays_below_the_root() {
        let at = |path: &str| {
            of(&json!({ "destination": path, "type": "tmpfs" }), &json!({}))
                .map(|it| it.destination)
        };
        assert_eq!(at("/a/../../b/./c").unwrap(), Path::new("/b/c"));
        assert_eq!(at("a").unwrap(), Path::new("/a"));
        for path in ["/", "", "..", "/x/..", "/."] {
            assert!(at(path).unwrap_err().to_string().contains("mounts[0].destination"), "{path}");
        }
    }

    #[test]
    fn a_tmpfs_has_the_permissions_of_what_is_below_it() {
        let tmpfs = |options: Value| {
            of(&json!({ "destination": "/var", "type": "tmpfs", "options": options }), &json!({}))
        };
        assert_eq!(tmpfs(json!([])).unwrap().options, ["mode=0755"]);
        assert_eq!(tmpfs(json!(["mode=700"])).unwrap().options, ["mode=700"]);
    }

    #[test]
    fn a_group_that_is_not_mapped_is_left_out_of_devpts() {
        let pts = json!({ "destination": "/dev/pts", "type": "devpts",
            "options": ["newinstance", "gid=5"] });
        let linux = |size: u32| {
            json!({ "namespaces": [{ "type": "user" }],
                "gidMappings": [{ "containerID": 0, "hostID": 1000, "size": size }] })
        };
        assert_eq!(of(&pts, &json!({})).unwrap().options, ["gid=5"]);
        assert_eq!(of(&pts, &linux(6)).unwrap().options, ["gid=5"]);
        assert_eq!(of(&pts, &linux(5)).unwrap().options, [""; 0]);
    }

    #[test]
    fn sysfs_of_another_network_is_the_hosts() {
        let sysfs = json!({ "destination": "/sys", "type": "sysfs", "options": ["ro"] });
        let (user, both) =
            (json!([{ "type": "user" }]), json!([{ "type": "user" }, { "type": "network" }]));
        assert!(of(&sysfs, &json!({ "namespaces": user })).unwrap().is_bind());
        assert!(!of(&sysfs, &json!({ "namespaces": both })).unwrap().is_bind());
    }

    #[test]
    fn a_mount_without_a_type_is_a_bind_mount_or_an_error() {
        let bind = json!({ "destination": "/x", "source": "here", "options": ["rbind"] });
        let found = of(&bind, &json!({})).unwrap();
        assert!(found.is_bind() && found.source.is_absolute());
        for kind in [json!("none"), json!(""), Value::Null] {
            let mount = json!({ "destination": "/x", "source": "x", "type": kind });
            assert!(of(&mount, &json!({})).is_err());
        }
    }
}
