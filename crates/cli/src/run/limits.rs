//! Question 2 on the command line of `isolab run`: what may it consume?

use clap::Args;
use sandbox::{CpuQuota, Limits};

use crate::units::{self, Pids};

#[derive(Debug, Args)]
#[command(next_help_heading = "What it may consume")]
pub(super) struct LimitArguments {
    /// Memory, swap included, such as 64M or 1G; for a microVM the size of its RAM
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true)]
    pub(super) memory: Option<u64>,
    /// CPUs, such as 0.5
    #[arg(long, value_name = "NUMBER", value_parser = units::cpus, allow_hyphen_values = true)]
    pub(super) cpus: Option<CpuQuota>,
    /// Share of a contended CPU, 1 to 10000; 100 is the usual one
    #[arg(long, value_name = "WEIGHT", value_parser = units::weight, allow_hyphen_values = true)]
    pub(super) cpu_weight: Option<u32>,
    /// Processes and threads; `max` is as many as the host has [default for a container: 4096 where
    /// this host lets the caller limit them]
    #[arg(long, value_name = "NUMBER", value_parser = units::pids, allow_hyphen_values = true)]
    pub(super) pids: Option<Pids>,
    /// Virtual CPUs of a microVM
    #[arg(long, value_name = "NUMBER", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) vcpus: Option<u32>,
}

impl LimitArguments {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.memory,
            cpu_quota: self.cpus,
            cpu_weight: self.cpu_weight,
            pids: match self.pids {
                Some(Pids::AtMost(number)) => Some(number),
                Some(Pids::Unlimited) | None => None,
            },
            vcpus: self.vcpus,
        }
    }
}
