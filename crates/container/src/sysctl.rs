//! Question 4: which settings of the kernel are the container's own? Those that a namespace has for
//! itself (namespaces(7), ipc_namespaces(7), network_namespaces(7)); all others are the host's.

use std::path::{Path, PathBuf};

use sandbox::Question::Power;

use crate::{
    error::Error,
    lookup,
    plan::SyscallPlan,
    spec::{
        self,
        namespaces::{Namespace, Namespaces},
    },
};

/// Those that each ipc namespace has (ipc_namespaces(7)), besides those below `fs.mqueue`.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// The kind of namespace that has the setting `key` for itself, as in `/proc/PID/ns`; `None` if none has.
pub fn namespace_of_sysctl(key: &str) -> Option<&'static str> {
    let path = path(key)?;
    let path = path.to_str()?;
    if path.starts_with("net/") {
        Some("net")
    } else if path.starts_with("fs/mqueue/") || IPC.contains(&path) {
        Some("ipc")
    } else {
        (path == "kernel/domainname").then_some("uts")
    }
}

/// Its file below `/proc/sys`. The first separator of a key, dot or slash, is the one of its parts; the
/// other one is a dot in a name (sysctl.d(5)).
fn path(key: &str) -> Option<PathBuf> {
    let is_slashed = key.find(['.', '/']).is_some_and(|first| key[first..].starts_with('/'));
    let turned = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path = if is_slashed { key.to_owned() } else { key.chars().map(turned).collect() };
    let is_name = |part: &str| !["", ".", ".."].contains(&part);
    path.split('/').all(is_name).then(|| path.into())
}

/// The child's steps that write sysctls, through the host's own `/proc/sys`, where a process sees
/// those of its own namespaces.
pub(crate) fn set(
    plan: &mut SyscallPlan,
    power: &spec::Power,
    namespaces: &Namespaces,
) -> Result<(), Error> {
    for (key, value) in &power.sysctl {
        let namespace = match namespace_of_sysctl(key) {
            Some("net") => &namespaces.net,
            Some("ipc") => &namespaces.ipc,
            Some(_) => &namespaces.uts,
            None => &Namespace::Shared,
        };
        let path = path(key).filter(|_| *namespace != Namespace::Shared);
        let path = path.ok_or_else(|| Error::SharedSysctl { key: key.clone() })?;
        lookup::open_of_host_to_write(plan, &Path::new("/proc/sys").join(path))?;
        let file = plan.result();
        let operand = plan.keep(value.as_bytes());
        let arguments = [file.operand(), operand, value.len()];
        plan.step(Power, format!("sysctl {key}={value}"), libc::SYS_write, arguments);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_the_namespace_that_has_it() {
        for (key, namespace) in [
            ("net.ipv4.ip_forward", Some("net")),
            ("net/ipv4/ip_forward", Some("net")),
            ("fs.mqueue.msg_max", Some("ipc")),
            ("kernel.shmmax", Some("ipc")),
            ("kernel.domainname", Some("uts")),
            ("kernel.hostname", None),
            ("kernel.panic", None),
            ("vm.swappiness", None),
            ("net", None),
            ("net...kernel.panic", None),
            ("net/../kernel/panic", None),
            ("", None),
        ] {
            assert_eq!(namespace_of_sysctl(key), namespace, "{key:?}");
        }
    }

    #[test]
    fn the_first_separator_is_that_of_the_parts() {
        let both = ["net.ipv4.conf.eth0/1.mtu", "net/ipv4/conf/eth0.1/mtu"];
        for key in both {
            assert_eq!(path(key).unwrap(), Path::new("net/ipv4/conf/eth0.1/mtu"));
        }
    }
}
