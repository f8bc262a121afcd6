//! Question 4: who the program is, and what it may do.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use container::{
    privileges::{Capabilities, CapabilitySet, IdMaps, Rlimit, User},
    spec::Power,
};

use super::{scheduling, seccomp};
use crate::{
    config::{Config, Personality, Process},
    error::{Result, property},
};

/// What `process` may do in the container of `config`.
pub(crate) fn power(process: &Process, config: &Config) -> Result<Power> {
    refuse_labels(process)?;
    let linux = &config.linux;
    let has_maps = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    let maps = IdMaps { uid: linux.uid_mappings.clone(), gid: linux.gid_mappings.clone() };
    let (seccomp, filter) = seccomp::seccomp(linux.seccomp.as_ref())?;
    Ok(Power {
        user: User {
            uid: process.user.uid,
            gid: process.user.gid,
            additional_gids: process.user.additional_gids.clone(),
            umask: process.user.umask,
        },
        id_maps: has_maps.then_some(maps),
        capabilities: capabilities(process),
        seccomp,
        filter,
        oom_score_adj: process.oom_score_adj,
        rlimits: rlimits(process)?,
        scheduler: scheduling::scheduler(process)?,
        io_priority: scheduling::io_priority(process)?,
        personality: linux.personality.as_ref().map(persona).transpose()?,
        keyring: None,
        no_new_privileges: process.no_new_privileges,
        sysctl: sysctl(config)?,
    })
}

/// `linux.sysctl`: settings of namespaces that are the container's own.
fn sysctl(config: &Config) -> Result<Vec<(String, String)>> {
    for key in config.linux.sysctl.keys() {
        let refused = |why: String| Err(property(format!("linux.sysctl[{key:?}]"), why));
        let (name, kind) = match container::namespace_of_sysctl(key) {
            Some("net") => ("net", "network"),
            Some(kind) => (kind, kind),
            None if key == "kernel.hostname" => {
                return refused("it is the property hostname".into());
            }
            None => {
                return refused("it is a setting of the whole host: no namespace has it".into());
            }
        };
        let entry = config.linux.namespaces.iter().find(|entry| entry.kind == kind);
        let path = entry.map(|entry| entry.path.as_deref().filter(|it| !it.as_os_str().is_empty()));
        match path {
            None => return refused(format!("it needs a namespace of type {kind} of its own")),
            Some(Some(path)) if is_own(path, name) => {
                return refused(format!("the {kind} namespace of the container is the host's"));
            }
            Some(_) => {}
        }
    }
    Ok(config.linux.sysctl.clone().into_iter().collect())
}

/// Whether the namespace at `path` is the caller's own.
fn is_own(path: &Path, name: &str) -> bool {
    let about = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    about(path).is_some_and(|one| Some(one) == about(&Path::new("/proc/self/ns").join(name)))
}

/// `linux.personality` (sys/personality.h).
fn persona(given: &Personality) -> Result<u32> {
    if !given.flags.is_empty() {
        return Err(property("linux.personality.flags", "the specification has none so far"));
    }
    match &*given.domain {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(8),
        other => {
            Err(property("linux.personality.domain", format!("{other:?} is not LINUX or LINUX32")))
        }
    }
}

/// `process.rlimits`, each of which may be there once (config.md, "POSIX process").
fn rlimits(process: &Process) -> Result<Vec<Rlimit>> {
    let mut seen = Vec::new();
    for (number, limit) in process.rlimits.iter().enumerate() {
        let place = |name| format!("process.rlimits[{number}].{name}");
        if !limit.is_known() {
            let why = format!("{:?} is not a limit that getrlimit(2) has", limit.kind);
            return Err(property(place("type"), why));
        }
        if seen.contains(&&*limit.kind) {
            return Err(property(place("type"), format!("{:?} is there twice", limit.kind)));
        }
        if limit.soft > limit.hard {
            let why = format!("{} is more than the hard limit, {}", limit.soft, limit.hard);
            return Err(property(place("soft"), why));
        }
        seen.push(&*limit.kind);
    }
    Ok(process.rlimits.clone())
}

/// The names that [`power`] leaves out.
pub(crate) fn unknown_capabilities(process: &Process) -> Vec<&str> {
    let Some(given) = &process.capabilities else { return Vec::new() };
    let sets =
        [&given.bounding, &given.effective, &given.inheritable, &given.permitted, &given.ambient];
    let all = sets.into_iter().flatten().map(String::as_str);
    let mut unknown: Vec<&str> = all.filter(|name| CapabilitySet::of([*name]).is_err()).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}

/// Names that this kernel does not know are left out (config.md, "Linux Process": a value that cannot
/// be granted is no reason to fail). Without the property there are none.
fn capabilities(process: &Process) -> Capabilities {
    let given = process.capabilities.clone().unwrap_or_default();
    let set = |names: &[String]| {
        let known = names.iter().filter_map(|name| CapabilitySet::of([&**name]).ok());
        CapabilitySet(known.fold(0, |all, CapabilitySet(one)| all | one))
    };
    Capabilities {
        bounding: set(&given.bounding),
        effective: set(&given.effective),
        inheritable: set(&given.inheritable),
        permitted: set(&given.permitted),
        ambient: set(&given.ambient),
    }
}

fn refuse_labels(process: &Process) -> Result<()> {
    let is_given = |label: &Option<String>| label.as_ref().is_some_and(|it| !it.is_empty());
    if is_given(&process.selinux_label) {
        return Err(property("process.selinuxLabel", "isolab does not support SELinux"));
    }
    let profile = process.apparmor_profile.as_ref();
    match profile.filter(|it| !it.is_empty() && *it != "unconfined") {
        Some(_) => Err(property("process.apparmorProfile", "isolab does not support AppArmor")),
        None => Ok(()),
    }
}
