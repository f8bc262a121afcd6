//! Question 4: who it is, and what that user may do.

use std::{ffi::OsString, path::Path};

use container::{
    Namespace, Spec,
    privileges::{Capabilities, CapabilitySet, Rlimit},
    seccomp::{Profile, Seccomp},
    users,
};

use super::refused;
use crate::{
    error::{ApiError, Result},
    state::record::Record,
};

/// What Docker leaves of root's power (moby, `oci/caps/defaults.go`): more than `isolab run` does,
/// since images count on it. Making a device node (MKNOD) gives no access to the device: the cgroup
/// decides on that.
const DEFAULT: [&str; 14] = [
    "chown",
    "dac_override",
    "fsetid",
    "fowner",
    "mknod",
    "net_raw",
    "setgid",
    "setuid",
    "setfcap",
    "setpcap",
    "net_bind_service",
    "sys_chroot",
    "kill",
    "audit_write",
];

pub(super) fn apply(spec: &mut Spec, record: &Record) -> Result<()> {
    let host = &record.host;
    // Programs with the set-user-ID bit work, unless a client says otherwise.
    spec.power.no_new_privileges = false;
    let usual = CapabilitySet::of(DEFAULT).expect("the names are those of capabilities(7)");
    spec.power.capabilities.bounding = usual;
    if host.privileged == Some(true) {
        spec.make_privileged().map_err(refused)?;
    }
    become_user(spec, record)?;
    let names = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    let (add, drop) = (names(&host.cap_add), names(&host.cap_drop));
    let kept = spec.power.capabilities.bounding.changed(&add, &drop);
    let unknown =
        |name: &str| ApiError::invalid(format!("invalid capability: {:?}", name.to_uppercase()));
    let kept = kept.map_err(unknown)?;
    let in_force = if spec.power.user.uid == 0 { kept } else { CapabilitySet::NONE };
    spec.power.capabilities = Capabilities {
        bounding: kept,
        effective: in_force,
        permitted: in_force,
        ..spec.power.capabilities
    };
    for limit in host.ulimits.iter().flatten() {
        let number = |number: Option<i64>| match number {
            Some(-1) | None => u64::MAX,
            Some(number) => number.unsigned_abs(),
        };
        let kind = limit.name.clone().unwrap_or_default();
        let (soft, hard) = (number(limit.soft), number(limit.hard));
        spec.power.rlimits.push(Rlimit { kind, soft, hard });
    }
    let sysctls = host.sysctls.iter().flatten();
    spec.power.sysctl.extend(sysctls.map(|(name, value)| (name.clone(), value.clone())));
    usual_sysctl(spec);
    spec.power.oom_score_adj =
        host.oom_score_adj.filter(|score| *score != 0).and_then(|score| i32::try_from(score).ok());
    for option in host.security_opt.iter().flatten() {
        secure(spec, option)?;
    }
    Ok(())
}

/// Any user of a container with a network of its own may listen at any port of it, as in Docker since
/// version 20.10.
fn usual_sysctl(spec: &mut Spec) {
    const KEY: &str = "net.ipv4.ip_unprivileged_port_start";
    let is_own = spec.boundary.namespaces.net == Namespace::New;
    let is_asked = spec.power.sysctl.iter().any(|(key, _)| key == KEY);
    if is_own && !is_asked && Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start").exists() {
        spec.power.sysctl.push((KEY.into(), "0".into()));
    }
}

/// The user by the image's own files, and its home unless the environment has one.
pub(super) fn become_user(spec: &mut Spec, record: &Record) -> Result<()> {
    let user = record.config.user.as_deref().unwrap_or_default();
    let groups = record.host.group_add.clone().unwrap_or_default();
    let found = users::find(&spec.inside.root, user, &groups).map_err(|error| {
        ApiError::invalid(format!(
            "unable to find user {}: {}",
            user.split(':').next().unwrap_or_default(),
            sandbox::chain(&sandbox::Error::from(error))
        ))
    })?;
    let has_home = spec.way_out.environment.iter().any(|(name, _)| name == "HOME");
    if !has_home {
        let home = found.home.map_or_else(|| OsString::from("/"), Into::into);
        spec.way_out.environment.push(("HOME".into(), home));
    }
    spec.power.user = found.user;
    Ok(())
}

/// One `--security-opt`, with `=` or the older `:` in it. The client has read a profile's file: its
/// text is here.
fn secure(spec: &mut Spec, option: &str) -> Result<()> {
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match (name, value) {
        ("seccomp", "unconfined") => spec.power.seccomp = Seccomp::Unconfined,
        ("seccomp", "" | "default" | "builtin") => spec.power.seccomp = Seccomp::Default,
        ("seccomp", text) => {
            let held = spec.power.capabilities.bounding;
            let profile = Profile::from_docker(text.as_bytes(), held).map_err(refused)?;
            spec.power.seccomp = Seccomp::Profile(profile);
        }
        ("no-new-privileges", "" | "true") => spec.power.no_new_privileges = true,
        ("no-new-privileges", "false") => spec.power.no_new_privileges = false,
        ("systempaths", "unconfined") => spec.unmask(),
        ("label", "disable") | ("apparmor", "unconfined") => {}
        ("label" | "apparmor", _) => {
            let module = if name == "label" { "SELinux" } else { "AppArmor" };
            return Err(ApiError::invalid(format!(
                "--security-opt {option}: isolab does not support {module} policies; it isolates by \
                 namespaces, capabilities, seccomp and cgroups"
            )));
        }
        _ => return Err(ApiError::invalid(format!("invalid --security-opt 2: {option:?}"))),
    }
    Ok(())
}
