//! Question 1: namespaces and names.

use container::{Namespace, Spec};
use sandbox::Process;

use super::Shared;
use crate::state::record::Record;

pub(super) fn apply(spec: &mut Spec, record: &Record, shared: &Shared) {
    let (host, namespaces) = (&record.host, &mut spec.boundary.namespaces);
    namespaces.pid = choose(host.pid_mode.as_deref(), shared.pid);
    namespaces.ipc = choose(host.ipc_mode.as_deref(), shared.ipc);
    namespaces.uts = choose(host.uts_mode.as_deref(), None);
    namespaces.net = choose(host.network_mode.as_deref(), shared.net);
    if let Some(mode) = host.cgroupns_mode {
        namespaces.cgroup = choose(Some(mode.as_ref()), None);
    }
    spec.boundary.hostname = record.config.hostname.clone().filter(|name| !name.is_empty());
    spec.boundary.domainname = record.config.domainname.clone().filter(|name| !name.is_empty());
    if !spec.boundary.namespaces.uts.is_new() {
        (spec.boundary.hostname, spec.boundary.domainname) = (None, None);
    }
}

/// The namespace of a mode: the host's, another container's, or its own.
fn choose(mode: Option<&str>, other: Option<Process>) -> Namespace {
    match (mode, other) {
        (Some("host"), _) => Namespace::Shared,
        (_, Some(process)) => Namespace::Of(process),
        _ => Namespace::New,
    }
}
