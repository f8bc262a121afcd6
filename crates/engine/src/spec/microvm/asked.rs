//! What a guest cannot have.

use bollard_stubs::models::{HostConfig, MountPoint};

use super::super::refusal::{any, is_other_than_hosts, publishes, refuse};
use crate::{
    error::{ApiError, Result},
    state::record::{Record, SHM_BYTES},
};

/// Refuses it, with what can be done instead.
pub(super) fn check(record: &Record) -> Result<()> {
    network(record)?;
    limits(&record.host)?;
    namespaces_and_power(&record.host)?;
    files(record)
}

fn network(record: &Record) -> Result<()> {
    const NONE: &str = "its guest has its loopback link only; use --network none";
    let host = &record.host;
    let mode = host.network_mode.as_deref();
    let networks = record.networking.endpoints_config.iter().flatten();
    // The docker command writes the mode here too.
    let mut others = networks.filter(|(name, _)| !["none", "default"].contains(&name.as_str()));
    let is_other = !matches!(mode, None | Some("none")) || others.next().is_some();
    refuse(
        "microvm",
        &[
            ("published ports", publishes(host), "its guest has no link to the host"),
            ("a network", is_other && record.config.network_disabled != Some(true), NONE),
        ],
    )
}

fn limits(host: &HostConfig) -> Result<()> {
    const INSIDE: &str = "the processes are those of its guest's kernel";
    const MACHINE: &str = "its guest has the memory that -m says, all of it and no more";
    let positive = |number: Option<i64>| number.is_some_and(|number| number > 0);
    let swap = host.memory_swap.filter(|swap| !matches!(swap, 0) && Some(*swap) != host.memory);
    refuse(
        "microvm",
        &[
            ("--pids-limit", positive(host.pids_limit), INSIDE),
            ("--ulimit", any(host.ulimits.as_ref()), INSIDE),
            ("--oom-score-adj", host.oom_score_adj.is_some_and(|score| score != 0), INSIDE),
            (
                "--shm-size",
                host.shm_size.is_some_and(|bytes| ![0, SHM_BYTES].contains(&bytes)),
                MACHINE,
            ),
            ("--memory-swap", swap.is_some(), MACHINE),
            ("--memory-reservation", positive(host.memory_reservation), MACHINE),
            ("--oom-kill-disable", host.oom_kill_disable == Some(true), MACHINE),
        ],
    )
}

fn namespaces_and_power(host: &HostConfig) -> Result<()> {
    const KERNEL: &str = "its guest has a kernel of its own, in which root has all of root's power";
    let is_own = |mode: &Option<String>| matches!(mode.as_deref(), Some("private" | "none"));
    let shares =
        |mode: &Option<String>| !is_own(mode) && mode.as_deref().is_some_and(|it| !it.is_empty());
    let cgroup_mode = host.cgroupns_mode.map(|mode| mode.to_string());
    let is_private = cgroup_mode.as_deref() == Some("private");
    let is_host = |mode: &Option<String>| mode.as_deref() == Some("host");
    let shares_cgroups =
        !is_private && (is_other_than_hosts(cgroup_mode.as_deref()) || is_host(&cgroup_mode));
    refuse(
        "microvm",
        &[
            ("--pid", shares(&host.pid_mode), KERNEL),
            ("--ipc", shares(&host.ipc_mode), KERNEL),
            ("--uts", shares(&host.uts_mode), KERNEL),
            ("--cgroupns", shares_cgroups, KERNEL),
            ("--privileged", host.privileged == Some(true), KERNEL),
            ("--cap-add", any(host.cap_add.as_ref()), KERNEL),
            ("--cap-drop", any(host.cap_drop.as_ref()), KERNEL),
            ("--security-opt", any(host.security_opt.as_ref()), KERNEL),
            ("masked paths", host.masked_paths.is_some(), KERNEL),
            ("read-only paths", host.readonly_paths.is_some(), KERNEL),
            ("--sysctl", host.sysctls.as_ref().is_some_and(|all| !all.is_empty()), KERNEL),
        ],
    )
}

fn files(record: &Record) -> Result<()> {
    const DEVICES: &str = "its guest has the devices of its machine";
    let host = &record.host;
    let mounts = host.mounts.iter().flatten();
    let tmpfs = mounts.filter(|mount| mount.typ.is_some_and(|kind| kind.to_string() == "tmpfs"));
    let in_memory = tmpfs.count() > 0 || host.tmpfs.as_ref().is_some_and(|all| !all.is_empty());
    let root = "its guest's root is its own and gone with it";
    refuse(
        "microvm",
        &[
            ("--device", any(host.devices.as_ref()), DEVICES),
            ("--device-cgroup-rule", any(host.device_cgroup_rules.as_ref()), DEVICES),
            ("--read-only", host.readonly_rootfs == Some(true), root),
            ("--tmpfs", in_memory, "mount it inside: `mount -t tmpfs none DIRECTORY`"),
        ],
    )?;
    match record.mounts.iter().find(|point| point.rw != Some(false)) {
        None => Ok(()),
        Some(MountPoint { destination, source, .. }) => {
            let path = destination.clone().unwrap_or_default();
            let source = source.clone().unwrap_or_default();
            Err(ApiError::invalid(format!(
                "the runtime microvm cannot keep a volume that is written to, {path}: its guest only \
                 reads directories of the host; write -v {source}:{path}:ro"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::test_record::record;

    fn refusal(change: impl FnOnce(&mut Record)) -> String {
        let mut record = record("microvm");
        change(&mut record);
        check(&record).unwrap_err().message
    }

    #[test]
    fn what_a_guest_cannot_have_is_refused_by_its_option() {
        let refused = refusal(|record| record.host.network_mode = Some("bridge".into()));
        assert!(refused.contains("cannot keep a network"), "{refused}");
        let refused = refusal(|record| record.host.publish_all_ports = Some(true));
        assert!(refused.contains("published ports"), "{refused}");
        let refused = refusal(|record| record.host.pids_limit = Some(7));
        assert!(refused.contains("--pids-limit"), "{refused}");
        let refused = refusal(|record| record.host.privileged = Some(true));
        assert!(refused.contains("--privileged"), "{refused}");
        let refused = refusal(|record| record.host.tmpfs = Some([("/x".into(), "".into())].into()));
        assert!(refused.contains("mount -t tmpfs"), "{refused}");
    }

    #[test]
    fn a_volume_is_a_guests_if_it_is_only_read() {
        let mount = |rw| MountPoint {
            source: Some("/tmp".into()),
            destination: Some("/x".into()),
            rw: Some(rw),
            ..MountPoint::default()
        };
        let refused = refusal(|record| record.mounts = vec![mount(true)]);
        assert!(refused.contains("-v /tmp:/x:ro"), "{refused}");
        let mut read = record("microvm");
        read.mounts = vec![mount(false)];
        check(&read).unwrap();
    }

    #[test]
    fn what_the_docker_command_always_sends_is_no_wish() {
        let mut record = record("microvm");
        record.host.memory_swappiness = Some(-1);
        (record.host.memory_swap, record.host.pids_limit) = (Some(0), Some(0));
        record.host.cgroupns_mode = Some(bollard_stubs::models::HostConfigCgroupnsModeEnum::EMPTY);
        check(&record).unwrap();
    }
}
