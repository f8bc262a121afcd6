//! Question 2, asked of every sandbox: what may the workload consume?

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// CPU time in every period, as in `cpu.max` and `cpu.cfs_quota_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuQuota {
    /// CPU time that may be used in one period, over all CPUs.
    pub quota: Duration,
    /// The period; the kernel accepts 1 ms to 1 s.
    pub period: Duration,
}

impl CpuQuota {
    /// The quota of `cpus` processors (0.5 is half of one) with the kernel's default period of 100
    /// ms.
    ///
    /// # Errors
    ///
    /// [`LimitsError::Cpus`] unless `cpus` is a number from 0.01 to 10,000: the kernel rejects
    /// quotas under 1 ms.
    pub fn cpus(cpus: f64) -> Result<Self, LimitsError> {
        if !(0.01..=10_000.0).contains(&cpus) {
            return Err(LimitsError::Cpus(cpus.to_string()));
        }
        let period = Duration::from_millis(100);
        Ok(Self { quota: period.mul_f64(cpus), period })
    }
}

/// What a workload may consume at most. `None` means the sandbox's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes, swap included. For a microVM the size of the guest's RAM.
    pub memory_bytes: Option<u64>,
    /// CPU time in every period.
    pub cpu_quota: Option<CpuQuota>,
    /// Share of a contended CPU, 1 to 10,000; the default is 100 (`cpu.weight`).
    pub cpu_weight: Option<u32>,
    /// Number of processes and threads.
    pub pids: Option<u32>,
    /// Number of virtual CPUs.
    pub vcpus: Option<u32>,
}

/// An invalid limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Not a number of processors.
    #[error("invalid CPU count: {0}; use a number from 0.01 to 10000, such as 0.5")]
    Cpus(String),
    /// A limit of nothing.
    #[error("a limit of 0 {0} is too low: use at least {1}")]
    Zero(&'static str, &'static str),
    /// A weight outside the kernel's range.
    #[error(
        "a CPU weight of {0} is outside the kernel's range: use 1 to 10000; the default is 100"
    )]
    Weight(u32),
    /// A quota or period outside the kernel's range.
    #[error(
        "a CPU quota of {0:?} in {1:?} is outside the kernel's range: use at least 1 ms, in a period of 1 ms to 1 s"
    )]
    Quota(Duration, Duration),
}

impl Limits {
    /// Checks that every limit is valid; every sandbox does this first.
    ///
    /// # Errors
    ///
    /// The first invalid limit.
    pub fn check(&self) -> Result<(), LimitsError> {
        let millisecond = Duration::from_millis(1);
        if let Some(CpuQuota { quota, period }) = self.cpu_quota
            && (quota < millisecond || period < millisecond || period > Duration::from_secs(1))
        {
            return Err(LimitsError::Quota(quota, period));
        }
        match self {
            Self { memory_bytes: Some(0), .. } => Err(LimitsError::Zero("bytes", "1M")),
            Self { pids: Some(0), .. } => Err(LimitsError::Zero("pids", "1")),
            Self { vcpus: Some(0), .. } => Err(LimitsError::Zero("vcpus", "1")),
            Self { cpu_weight: Some(weight), .. } if !(1..=10_000).contains(weight) => {
                Err(LimitsError::Weight(*weight))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_nothing_are_refused() {
        let none = Limits::default();
        assert_eq!(none.check(), Ok(()));
        for zero in [
            Limits { memory_bytes: Some(0), ..none.clone() },
            Limits { pids: Some(0), ..none.clone() },
            Limits { vcpus: Some(0), ..none.clone() },
            Limits { cpu_weight: Some(0), ..none.clone() },
        ] {
            assert!(zero.check().is_err(), "{zero:?}");
        }
    }

    #[test]
    fn half_a_cpu_is_fifty_of_a_hundred_milliseconds() {
        assert_eq!(CpuQuota::cpus(0.5).unwrap().quota, Duration::from_millis(50));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.001] {
            assert!(CpuQuota::cpus(wrong).is_err(), "{wrong}");
        }
    }
}
