//! Question 2 on the command line of `isolab run`: what may it consume?

use std::time::Duration;

use clap::Args;
use sandbox::{CpuQuota, Limits};

use crate::units::{self, Pids};

#[derive(Debug, Args)]
#[command(next_help_heading = "What it may consume")]
pub(super) struct LimitArguments {
    /// Memory, swap included, such as 64M or 1G; for a microVM the size of its RAM
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true)]
    pub(super) memory: Option<u64>,
    /// CPUs, such as 0.5
    #[arg(long, value_name = "NUMBER", value_parser = units::cpus, allow_hyphen_values = true)]
    pub(super) cpus: Option<CpuQuota>,
    /// Share of a contended CPU, 1 to 10000; 100 is the usual one
    #[arg(long, value_name = "WEIGHT", value_parser = units::weight, allow_hyphen_values = true)]
    pub(super) cpu_weight: Option<u32>,
    /// The same as Docker counts it, 2 to 262144; 1024 is the usual one
    #[arg(short = 'c', long, value_name = "SHARES", value_parser = units::shares,
        allow_hyphen_values = true, conflicts_with = "cpu_weight")]
    cpu_shares: Option<u32>,
    /// CPU time in every period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true, conflicts_with = "cpus")]
    cpu_quota: Option<i64>,
    /// That period, 1000 to 1000000 [default: 100000]
    #[arg(long, value_name = "MICROSECONDS", requires = "cpu_quota",
        value_parser = clap::value_parser!(u64).range(1000..=1_000_000))]
    cpu_period: Option<u64>,
    /// Processes and threads; `max` is as many as the host has [default for a container: 4096 where
    /// this host lets the caller limit them]
    #[arg(long, alias = "pids-limit", value_name = "NUMBER", value_parser = units::pids,
        allow_hyphen_values = true)]
    pub(super) pids: Option<Pids>,
    /// Virtual CPUs of a microVM
    #[arg(long, value_name = "NUMBER", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) vcpus: Option<u32>,
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
