//! Which sandboxes each option of `isolab run` applies to: an option that would do nothing is a
//! mistake worth telling.

use super::arguments::{Arguments, TraceKind};
use crate::{failure::Failure, kinds::Kind};

/// The sandboxes that take the options of a row, as a message names them.
struct Row {
    kinds: &'static [Kind],
    owner: &'static str,
    /// Long names.
    options: &'static str,
}

/// Every option of `isolab run` is in one row.
const TABLE: [Row; 7] = [
    Row {
        kinds: &[Kind::Process, Kind::Container, Kind::Microvm, Kind::Linux],
        owner: "every sandbox",
        options: "in name json trace deadline tty interactive entrypoint cidfile attach \
            detach rm supervised label label-file annotation stop-signal stop-timeout \
            memory cpus cpu-weight cpu-shares cpu-quota cpu-period pids vcpus \
            pull quiet no-healthcheck expose disable-content-trust restart platform sig-proxy",
    },
    Row {
        kinds: &[Kind::Container],
        owner: "a container",
        options: "overlay upper upper-size storage-opt no-ns namespaces init no-init shm-size \
            domainname pid ipc uts cgroupns \
            cap-add cap-drop privileged security-opt device-cgroup-rule ulimit \
            sysctl oom-score-adj \
            memory-swap memory-reservation oom-kill-disable cpuset-cpus cpuset-mems blkio-weight \
            device-read-bps device-write-bps device-read-iops device-write-iops \
            blkio-weight-device \
            tmpfs read-only device userns",
    },
    Row {
        kinds: &[Kind::Container, Kind::Linux],
        owner: "a container or a Linux guest",
        options: "image user group-add root volume mount network publish hostname add-host dns dns-search dns-option",
    },
    Row {
        kinds: &[Kind::Process, Kind::Container, Kind::Linux],
        owner: "a process, a container or a Linux guest",
        options: "env env-file workdir",
    },
    Row {
        kinds: &[Kind::Microvm, Kind::Linux],
        owner: "a microvm or a Linux guest",
        options: "stats gdb",
    },
    Row { kinds: &[Kind::Microvm], owner: "a microvm", options: "mode" },
    Row {
        kinds: &[Kind::Linux],
        owner: "a Linux guest",
        options: "kernel modules initrd append cmdline entry console disk tap disk-bps disk-iops \
            net-bps output rng balloon start-up",
    },
];

impl Row {
    fn of(option: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.options.split_whitespace().any(|known| known == option))
    }
}

impl Arguments {
    /// Refuses the first option that does not apply to the sandbox.
    pub(super) fn refuse_options_that_do_not_apply(&self) -> Result<(), Failure> {
        let kind = self.kind;
        let refuse = |option: &str, owner| {
            let message =
                format!("--{option} does not apply to a {}: it is for {owner}", kind.name());
            Err(Failure::usage(message))
        };
        for option in &self.given {
            match Row::of(option) {
                Some(row) if !row.kinds.contains(&kind) => return refuse(option, row.owner),
                _ => {}
            }
        }
        let has_exits = matches!(kind, Kind::Microvm | Kind::Linux);
        match self.trace {
            Some(TraceKind::Exits) if !has_exits => {
                refuse("trace=exits", "a microvm or a Linux guest")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_option_is_in_one_row_and_every_row_has_options_that_exist() {
        let run = crate::Run::command();
        let options: Vec<&str> = run.get_arguments().filter_map(clap::Arg::get_long).collect();
        let rows = TABLE.iter().flat_map(|row| row.options.split_whitespace());
        let mut named: Vec<&str> = rows.collect();
        for option in &options {
            let count = named.iter().filter(|name| *name == option).count();
            assert_eq!(count, 1, "--{option}");
        }
        named.retain(|name| !options.contains(name));
        assert!(named.is_empty(), "no option of `isolab run`: {named:?}");
    }
}
