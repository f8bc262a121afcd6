//! The runtime `microvm`: the same image, with a Linux kernel of its own.
//!
//! Two descriptions: that of the monitor, the process of this host that is the virtual machine, and
//! that of the machine in it. The monitor has the cgroup, and closes itself around the machine
//! ([`::microvm::cell`]); what the program is given comes from the same sections of [`Spec`] as a
//! container's. What a guest cannot have is refused, never silently something else.

mod asked;

use std::path::Path;

use ::microvm::{
    LinuxVm, kernels,
    linux::{self, GuestRoot, GuestUser, Share},
};
use axum::http::StatusCode;
use bollard_stubs::models::HostConfig;
use container::{
    Mount, Namespaces, Network, Root, Spec, Upper, hosts,
    privileges::{Capabilities, CapabilitySet},
    seccomp::Seccomp,
};
use sandbox::{Limits, Program, Workload};

use super::{budget, inside, power, refused, way_out};
use crate::{
    error::{ApiError, Result},
    state::record::Record,
};

/// Checks that this host can run Linux guests, and in less than minutes.
///
/// # Errors
///
/// 501 with the reason and the way out: where KVM is missing or has no hardware assistance, the nest.
pub fn available() -> Result<()> {
    linux::available().map_err(|error| {
        let mut message = sandbox::chain_with_help(&error, error.fix());
        if !message.contains("isolab nest") {
            message += "; or start the engine in an emulated computer: `isolab nest`";
        }
        ApiError::new(StatusCode::NOT_IMPLEMENTED, message)
    })
}

/// The memory of a guest, in bytes: its client's limit, or 256 MiB.
pub fn memory_bytes(host: &HostConfig) -> u64 {
    linux::memory_bytes(&limits(host))
}

/// Memory and processors of the machine.
fn limits(host: &HostConfig) -> Limits {
    let memory_bytes = host.memory.filter(|bytes| *bytes > 0).map(i64::unsigned_abs);
    Limits { memory_bytes, vcpus: vcpus(host), ..Limits::default() }
}

/// As many processors as its share of CPU time can keep busy; one if there is no such limit.
fn vcpus(host: &HostConfig) -> Option<u32> {
    let positive = |number: Option<i64>| number.filter(|number| *number > 0);
    let quota = || {
        let period = positive(host.cpu_period).unwrap_or(100_000);
        positive(host.cpu_quota).map(|quota| quota as f64 / period as f64)
    };
    let cpus = positive(host.nano_cpus).map(|nano| nano as f64 / 1e9).or_else(quota)?;
    Some((cpus.ceil() as u32).max(1))
}

/// The monitor: a process of the host with a cgroup, which closes itself before its machine starts.
pub(super) fn monitor(record: &Record, directory: &Path) -> Result<Spec> {
    asked::check(record)?;
    let mut spec = Spec::default();
    spec.boundary.namespaces = Namespaces::shared();
    (spec.boundary.hostname, spec.boundary.domainname) = (None, None);
    budget::apply(&mut spec, record)?;
    // The machine is the limit: it has no more memory than it was given.
    spec.budget.limits.memory_bytes = None;
    spec.budget.resources.memory_swap = None;
    spec.budget.devices.clear();
    let all = CapabilitySet(u64::MAX);
    spec.power.capabilities =
        Capabilities { bounding: all, effective: all, permitted: all, ..Capabilities::default() };
    (spec.power.seccomp, spec.power.no_new_privileges) = (Seccomp::Unconfined, false);
    let words = ["isolab", "engine", "monitor"].map(Into::into).into();
    spec.way_out.program = Program::Command(words);
    spec.way_out.directory = directory.to_owned();
    spec.way_out.environment = std::env::vars_os().collect();
    spec.way_out.stdio = way_out::stdio(record);
    (spec.way_out.network, spec.way_out.names) = (Network::Host, None);
    Ok(spec)
}

/// The machine, and what runs in it; the container's files are in `directory`.
///
/// # Errors
///
/// When there is no kernel, no such user in the image, and those of [`super::of`].
pub fn machine(record: &Record, directory: &Path) -> Result<(LinuxVm, Workload)> {
    asked::check(record)?;
    let kernel = kernels::chosen().map_err(|error| ApiError::of(&error))?;
    let kept = directory.join("files");
    let mut spec = Spec::default();
    spec.inside.root =
        Root::Overlay { lowers: record.layers.clone(), upper: Upper::Kept(kept.clone()) };
    way_out::apply(&mut spec, record)?;
    power::become_user(&mut spec, record)?;
    let hostname = record.config.hostname.clone().unwrap_or_default();
    let names = spec.way_out.names.take().unwrap_or_default();
    let etc = hosts::of_a_machine(&names, &hostname, None).map_err(refused)?;
    let user = spec.power.user;
    let machine = LinuxVm {
        limits: limits(&record.host),
        root: GuestRoot::Layers(layers(record, &kept)),
        user: GuestUser { uid: user.uid, gid: user.gid, groups: user.additional_gids },
        shares: shares(record),
        hostname,
        etc,
        ..LinuxVm::of(&kernel)
    };
    let mut workload = match spec.way_out.program {
        Program::Command(words) => Workload::command(words),
        Program::Builtin(builtin, arguments) => Workload::builtin(builtin, &arguments),
    };
    workload.environment = spec.way_out.environment;
    workload.directory = Some(spec.way_out.directory).filter(|path| path != Path::new("/"));
    Ok((machine, workload.stdio(spec.way_out.stdio)))
}

/// The image's layers, below what was copied into the container before its start.
fn layers(record: &Record, kept: &Path) -> Vec<std::path::PathBuf> {
    let upper = Some(kept.join("upper")).filter(|upper| upper.is_dir());
    upper.into_iter().chain(record.layers.iter().cloned()).collect()
}

/// The directories of the host's that it reads.
fn shares(record: &Record) -> Vec<Share> {
    let mounts = record.mounts.iter().filter_map(inside::of_point);
    let share = |Mount { source, destination, .. }| Share {
        source,
        target: destination,
        with_mounts: true,
        options: vec!["nosuid", "nodev"],
    };
    mounts.map(share).collect()
}

#[cfg(test)]
mod tests {
    use container::Namespace;

    use super::{super::test_record::record, *};

    fn host(nano_cpus: i64, cpu_quota: i64) -> HostConfig {
        HostConfig { nano_cpus: Some(nano_cpus), cpu_quota: Some(cpu_quota), ..Default::default() }
    }

    #[test]
    fn a_guest_has_the_processors_that_its_share_keeps_busy() {
        assert_eq!(vcpus(&host(0, 0)), None);
        assert_eq!(vcpus(&host(500_000_000, 0)), Some(1));
        assert_eq!(vcpus(&host(1_500_000_000, 0)), Some(2));
        assert_eq!(vcpus(&host(0, 250_000)), Some(3));
    }

    #[test]
    fn a_memory_limit_is_the_memory_of_the_machine() {
        let limited = HostConfig { memory: Some(512 << 20), ..Default::default() };
        assert_eq!(memory_bytes(&limited), 512 << 20);
        assert_eq!(memory_bytes(&HostConfig::default()), 256 << 20);
    }

    #[test]
    fn the_monitor_is_a_process_of_the_host_in_a_cgroup() {
        let mut record = record("microvm");
        (record.host.memory, record.host.nano_cpus) = (Some(512 << 20), Some(500_000_000));
        let spec = monitor(&record, Path::new("/there")).unwrap();
        assert_eq!(spec.boundary.namespaces.mount, Namespace::Shared);
        assert!(spec.budget.cgroup.is_some() && spec.budget.limits.cpu_quota.is_some());
        assert_eq!(spec.budget.limits.memory_bytes, None, "the machine keeps that limit");
        assert_eq!(spec.way_out.directory, Path::new("/there"));
    }

    #[test]
    fn only_what_was_copied_into_it_lies_above_the_image() {
        let kept = tempfile::tempdir().unwrap();
        let mut record = record("microvm");
        record.layers = vec!["/image".into()];
        assert_eq!(layers(&record, kept.path()), [Path::new("/image")]);
        let upper = kept.path().join("upper");
        std::fs::create_dir(&upper).unwrap();
        assert_eq!(layers(&record, kept.path()), [upper.as_path(), Path::new("/image")]);
    }

    #[test]
    fn a_host_that_cannot_is_led_to_the_nest() {
        match available() {
            Ok(()) => println!("skipped: this host can run Linux guests"),
            Err(error) => {
                assert_eq!(error.status, StatusCode::NOT_IMPLEMENTED);
                assert!(error.message.contains("isolab nest"), "{error}");
            }
        }
    }
}
