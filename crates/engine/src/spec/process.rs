//! The runtime `process`: the image's program as a plain process of the host, for comparisons.
//!
//! It has the image for its root, in a mount namespace of its own, and a cgroup with the limits that
//! were asked for. Nothing else is between it and the host: it sees all processes, has the host's
//! network and names, and as root it has all of root's power. It is no wall.

use std::{fs, path::Path};

use container::{Namespace, Namespaces, Network, Spec};

use super::{
    Shared,
    refusal::{any, is_other_than_hosts, publishes, refuse},
};
use crate::{error::Result, state::record::Record};

pub(super) fn of(record: &Record, directory: &Path) -> Result<Spec> {
    check(record)?;
    let mut open = record.clone();
    open.host.privileged = Some(true);
    let mut spec = super::container(&open, directory, &Shared::default())?;
    // The root of another user's process needs a mount namespace, and so do its volumes.
    spec.boundary.namespaces = Namespaces { mount: Namespace::New, ..Namespaces::shared() };
    (spec.boundary.hostname, spec.boundary.domainname) = (None, None);
    spec.budget.usual_pids = None;
    spec.way_out.network = Network::Host;
    Ok(spec)
}

/// Refuses walls that were asked for.
fn check(record: &Record) -> Result<()> {
    const OWN: &str = "a plain process shares the host's; use the runtime container";
    let (host, config) = (&record.host, &record.config);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let own_name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let cgroup_mode = host.cgroupns_mode.map(|mode| mode.to_string());
    refuse(
        "process",
        &[
            ("a network", is_other_than_hosts(host.network_mode.as_deref()), OWN),
            ("published ports", publishes(host), "its own ports are the host's"),
            ("a host name", text(&config.hostname) != own_name.trim(), OWN),
            ("a domain name", !text(&config.domainname).is_empty(), OWN),
            ("--pid", is_other_than_hosts(host.pid_mode.as_deref()), OWN),
            ("--ipc", is_other_than_hosts(host.ipc_mode.as_deref()), OWN),
            ("--uts", is_other_than_hosts(host.uts_mode.as_deref()), OWN),
            ("--cgroupns", is_other_than_hosts(cgroup_mode.as_deref()), OWN),
            ("--sysctl", host.sysctls.as_ref().is_some_and(|all| !all.is_empty()), OWN),
            (
                "--device-cgroup-rule",
                any(host.device_cgroup_rules.as_ref()),
                "it may use all devices",
            ),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::{super::test_record::record, *};

    /// A record whose name is the host's, as it is without a wish.
    fn plain() -> Record {
        let mut record = record("process");
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        record.config.hostname = Some(name.trim().into());
        record
    }

    #[test]
    fn a_process_has_a_root_of_its_own_and_shares_the_rest() {
        let spec = of(&plain(), Path::new("/there")).unwrap();
        let Namespaces { mount, uts, ipc, pid, net, user, cgroup, time } = spec.boundary.namespaces;
        assert_eq!(mount, Namespace::New);
        assert!([uts, ipc, pid, net, user, cgroup, time].iter().all(|it| *it == Namespace::Shared));
        assert!(spec.inside.masked_paths.is_empty() && spec.budget.devices.is_empty());
        assert_eq!(spec.budget.usual_pids, None);
        assert_eq!(spec.power.seccomp, container::seccomp::Seccomp::Unconfined);
        assert!(!spec.power.no_new_privileges);
    }

    #[test]
    fn walls_that_were_asked_for_are_refused_by_their_option() {
        let refused = |change: fn(&mut Record)| {
            let mut record = plain();
            change(&mut record);
            check(&record).unwrap_err().message
        };
        assert!(refused(|it| it.host.network_mode = Some("none".into())).contains("a network"));
        assert!(refused(|it| it.config.hostname = Some("other".into())).contains("a host name"));
        assert!(refused(|it| it.host.publish_all_ports = Some(true)).contains("published ports"));
        assert!(refused(|it| it.host.ipc_mode = Some("private".into())).contains("--ipc"));
    }
}
