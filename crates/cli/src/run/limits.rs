//! Question 2 on the command line of `isolab run`: what may it consume?

use std::time::Duration;

use clap::Args;
use container::cgroup::Resources;
use sandbox::{CpuQuota, Limits};

use super::disks::DiskArguments;
use crate::units::{self, Pids};

#[derive(Debug, Args)]
#[command(next_help_heading = "Resource limits")]
pub(super) struct LimitArguments {
    /// Memory limit including swap, such as 64M or 1G; for a microVM, the size of its RAM
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = units::memory, allow_hyphen_values = true)]
    pub(super) memory: Option<u64>,
    /// Number of CPUs, such as 0.5
    #[arg(long, value_name = "NUMBER", value_parser = units::cpus, allow_hyphen_values = true)]
    pub(super) cpus: Option<CpuQuota>,
    /// Share of a contended CPU, 1 to 10000 [default: 100]
    #[arg(long, value_name = "WEIGHT", value_parser = units::weight, allow_hyphen_values = true)]
    pub(super) cpu_weight: Option<u32>,
    /// The same in Docker's unit, 2 to 262144 [default: 1024]
    #[arg(short = 'c', long, value_name = "SHARES", value_parser = units::shares,
        allow_hyphen_values = true, conflicts_with = "cpu_weight")]
    cpu_shares: Option<u32>,
    /// CPU time per period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true, conflicts_with = "cpus")]
    cpu_quota: Option<i64>,
    /// Length of the period of --cpu-quota, 1000 to 1000000 [default: 100000]
    #[arg(long, value_name = "MICROSECONDS", requires = "cpu_quota",
        value_parser = clap::value_parser!(u64).range(1000..=1_000_000))]
    cpu_period: Option<u64>,
    /// Maximum number of processes and threads; `max` for no limit [default for a container: 4096
    /// where the host lets the caller limit them]
    #[arg(long, alias = "pids-limit", value_name = "NUMBER", value_parser = units::pids,
        allow_hyphen_values = true)]
    pub(super) pids: Option<Pids>,
    /// Number of virtual CPUs of a microVM
    #[arg(long, value_name = "NUMBER", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) vcpus: Option<u32>,
}

/// What only a container's cgroup keeps.
#[derive(Debug, Args)]
#[command(next_help_heading = "More limits, only for containers")]
pub(super) struct ResourceArguments {
    /// Limit on memory plus swap; -1 for unlimited swap [default: no swap with --memory]
    #[arg(long, value_name = "SIZE", value_parser = units::size_or_unlimited,
        allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// Memory that the kernel leaves to it when the host runs short
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true)]
    memory_reservation: Option<u64>,
    /// Pause it at its memory limit instead of killing it; cgroup version 1 only
    #[arg(long)]
    oom_kill_disable: bool,
    /// CPUs on which it may run, such as 0-2,7
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// NUMA nodes from which it may get memory, such as 0-1
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Block I/O weight, 10 to 1000; 0 for the default
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    #[command(flatten)]
    disks: DiskArguments,
}

impl ResourceArguments {
    pub(super) fn resources(&self) -> Resources {
        Resources {
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            memory_swap: self.memory_swap,
            memory_reservation: self.memory_reservation,
            blkio_weight: self.blkio_weight.filter(|weight| *weight != 0),
            disks: self.disks.limits(),
            oom_kill_disable: self.oom_kill_disable,
        }
    }
}

impl LimitArguments {
    /// Docker's -1 is no quota.
    fn quota(&self) -> Option<CpuQuota> {
        let quota = u64::try_from(self.cpu_quota?).ok().filter(|quota| *quota > 0)?;
        let period = Duration::from_micros(self.cpu_period.unwrap_or(100_000));
        Some(CpuQuota { quota: Duration::from_micros(quota), period })
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.memory,
            cpu_quota: self.cpus.or(self.quota()),
            cpu_weight: self.cpu_weight.or(self.cpu_shares),
            pids: match self.pids {
                Some(Pids::AtMost(number)) => Some(number),
                Some(Pids::Unlimited) | None => None,
            },
            vcpus: self.vcpus,
        }
    }
}
