//! Question 2: what may it consume? Here: what it has consumed, as counted by its cgroup.

use std::{fs, path::PathBuf, time::Duration};

use crate::{
    Error,
    cgroup_layout::{Controller, Layout, Version},
    error::file,
};

/// The counters in `cpu.stat` of a cgroup, since it was made.
///
/// Source: Documentation/admin-guide/cgroup-v2.rst, and Documentation/scheduler/sched-bwc.rst for
/// version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuStat {
    /// CPU time of all processes in it, user and system; version 1 does not count it here.
    pub usage: Option<Duration>,
    /// Periods of the quota in which one of them wanted to run; 0 without a quota.
    pub periods: u64,
    /// The number of those periods in which the quota was used up.
    pub throttled: u64,
    /// How long they were throttled, summed over the processors.
    pub throttled_time: Duration,
}

/// The file `cpu.stat` of one cgroup, found once and read often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuStatFile {
    path: PathBuf,
    version: Version,
}

impl CpuStatFile {
    /// Finds that of the cgroup of process `pid`.
    ///
    /// # Errors
    ///
    /// When the process has ended, or none of its cgroups has a CPU controller.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let layout = Layout::of(pid)?;
        let version = layout.version_for(&[Controller::Cpu]);
        let hierarchy = match version {
            Version::V1 => layout.v1(Controller::Cpu),
            Version::V2 => layout.v2(),
        };
        let none = || Error::NoController {
            controller: Controller::Cpu.name(),
            why: "no hierarchy is mounted with it".into(),
        };
        let path = hierarchy.ok_or_else(none)?.own.join("cpu.stat");
        Ok(Self { path, version })
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// When the cgroup is gone.
    pub fn read(&self) -> Result<CpuStat, Error> {
        let text = fs::read_to_string(&self.path).map_err(file("read", &self.path))?;
        Ok(CpuStat::parse(&text, self.version))
    }
}

impl CpuStat {
    fn parse(text: &str, version: Version) -> Self {
        let number = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.split_once(' '));
            values.find_map(|(key, value)| (key == name).then(|| value.parse::<u64>().ok())?)
        };
        let usage = number("usage_usec").map(Duration::from_micros);
        let throttled_time = match version {
            Version::V1 => number("throttled_time").map(Duration::from_nanos),
            Version::V2 => number("throttled_usec").map(Duration::from_micros),
        };
        Self {
            usage,
            periods: number("nr_periods").unwrap_or_default(),
            throttled: number("nr_throttled").unwrap_or_default(),
            throttled_time: throttled_time.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_in_their_own_units() {
        let first = "nr_periods 12\nnr_throttled 11\nthrottled_time 990000000\n";
        let second = "usage_usec 110000\nuser_usec 1\nnr_periods 12\nnr_throttled 11\n\
                      throttled_usec 990000\nnr_bursts 0\n";
        let time = Duration::from_millis(990);
        let one = CpuStat::parse(first, Version::V1);
        assert_eq!(
            (one.usage, one.periods, one.throttled, one.throttled_time),
            (None, 12, 11, time)
        );
        let two = CpuStat::parse(second, Version::V2);
        assert_eq!(two.usage, Some(Duration::from_millis(110)));
        assert_eq!((two.periods, two.throttled, two.throttled_time), (12, 11, time));
    }

    #[test]
    fn a_process_that_has_ended_is_in_no_cgroup() {
        let error = CpuStatFile::of(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295/cgroup"), "{error}");
    }
}
