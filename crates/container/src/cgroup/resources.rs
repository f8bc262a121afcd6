//! What else a cgroup can limit: processors, swap, reserved memory and disk time.

use std::ops::RangeInclusive;

use sandbox::Limits;

use super::{
    disks::{DiskLimit, io_weight},
    setting::Setting,
};
use crate::{
    Error,
    cgroup_layout::{Controller, Version},
};

/// `linux.resources` of config.json, except what is in [`Limits`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// The processors that it may run on, as a list in the kernel's format: `0-2,7`.
    pub cpuset_cpus: Option<String>,
    /// The memory nodes from which it may get memory, as a list.
    pub cpuset_mems: Option<String>,
    /// Memory and swap together, in bytes: at least the memory limit, or -1 for unlimited swap. With a
    /// memory limit, `None` means no swap.
    pub memory_swap: Option<i64>,
    /// How much of its memory is not reclaimed when the host runs low, in bytes.
    pub memory_reservation: Option<u64>,
    /// Its weight relative to its siblings on a busy disk, from 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Limits for single disks.
    pub disks: Vec<DiskLimit>,
    /// Whether its processes wait at the memory limit instead of being killed; version 1 only.
    pub oom_kill_disable: bool,
}

impl Resources {
    /// Checks the values, and against these limits.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Error> {
        self.disks.iter().try_for_each(DiskLimit::check)?;
        let memory = limits.memory_bytes;
        let refused = |option: &'static str, why: String| Err(Error::Resource { option, why });
        for (option, list) in
            [("cpuset-cpus", &self.cpuset_cpus), ("cpuset-mems", &self.cpuset_mems)]
        {
            if let Some(list) = list.as_ref().filter(|list| parse_list(list).is_none()) {
                return refused(option, format!("{list:?} is not a list such as 0-2,7"));
            }
        }
        match (self.memory_swap, memory) {
            (None | Some(-1), _) => {}
            (Some(_), None) => return refused("memory-swap", "it needs --memory beside it".into()),
            (Some(total), Some(memory)) => {
                if !u64::try_from(total).is_ok_and(|total| total >= memory) {
                    let why = format!("{total} is less than the memory, {memory}, and counts both");
                    return refused("memory-swap", why);
                }
            }
        }
        match (self.memory_reservation, memory) {
            (Some(kept), Some(memory)) if kept > memory => {
                refused("memory-reservation", format!("{kept} is more than the memory, {memory}"))
            }
            _ => match self.blkio_weight {
                Some(weight) if !(10..=1000).contains(&weight) => {
                    refused("blkio-weight", format!("{weight} is not from 10 to 1000"))
                }
                _ => Ok(()),
            },
        }
    }

    /// The swap limit that goes with this memory limit: the file and its value.
    pub(super) fn swap(&self, memory: u64, version: Version) -> Option<Setting> {
        let swap = match self.memory_swap {
            Some(-1) => return None,
            Some(total) => u64::try_from(total).unwrap_or(memory).saturating_sub(memory),
            None => 0,
        };
        let (file, value) = match version {
            // Memory and swap together; it may not be less than the limit of memory.
            Version::V1 => ("memory.memsw.limit_in_bytes", memory.saturating_add(swap)),
            Version::V2 => ("memory.swap.max", swap),
        };
        let setting = Setting::new(Controller::Memory, file, value.to_string());
        // A kernel may not count swap; that is an error only if swap was asked for.
        Some(Setting { optional: self.memory_swap.is_none(), ..setting })
    }

    /// All settings except swap, in the order of writing.
    ///
    /// # Errors
    ///
    /// When this version lacks one of them.
    pub(super) fn settings(&self, version: Version) -> Result<Vec<Setting>, Error> {
        use Controller::{Cpuset, Io, Memory};
        let mut settings = Vec::new();
        let mut set = |controller, file, value| {
            settings.push(Setting::new(controller, file, value));
        };
        if let Some(bytes) = self.memory_reservation {
            let file =
                if version == Version::V1 { "memory.soft_limit_in_bytes" } else { "memory.low" };
            set(Memory, file, bytes.to_string());
        }
        match (self.oom_kill_disable, version) {
            (false, _) => {}
            (true, Version::V1) => set(Memory, "memory.oom_control", "1".into()),
            (true, Version::V2) => {
                let option = "oom-kill-disable";
                let why =
                    "cgroup version 2, which this host has, always kills at the limit of memory";
                return Err(Error::Resource { option, why: why.into() });
            }
        }
        for (list, file) in [(&self.cpuset_cpus, "cpuset.cpus"), (&self.cpuset_mems, "cpuset.mems")]
        {
            if let Some(list) = list {
                set(Cpuset, file, list.clone());
            }
        }
        if let Some(weight) = self.blkio_weight {
            // The file of the I/O scheduler bfq, or else that of the version's own controller; the
            // latter's weights go from 1 to 10000 on version 2.
            let (file, instead) = match version {
                Version::V1 => ("blkio.bfq.weight", ("blkio.weight", weight.to_string())),
                Version::V2 => ("io.bfq.weight", ("io.weight", io_weight(weight).to_string())),
            };
            let setting = Setting::new(Io, file, weight.to_string());
            settings.push(Setting { instead: Some(instead), ..setting });
        }
        settings.extend(self.disks.iter().map(|disk| disk.setting(version)));
        Ok(settings)
    }
}

/// A list of numbers and ranges (cpuset(7), "List format").
pub(super) fn parse_list(list: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let number = |word: &str| match word.bytes().all(|byte| byte.is_ascii_digit()) {
        true => word.parse::<u16>().ok(),
        false => None,
    };
    let range = |word: &str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(first..=last)
    };
    list.split(',').map(range).collect()
}

/// Whether all of `wanted` is in `available`; both are lists in the kernel's format.
pub(super) fn is_subset(wanted: &str, available: &str) -> bool {
    let (Some(wanted), Some(available)) = (parse_list(wanted), parse_list(available)) else {
        return false;
    };
    wanted.into_iter().flatten().all(|one| available.iter().any(|range| range.contains(&one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_numbers_and_ranges() {
        assert_eq!(parse_list("0-2,7"), Some(vec![0..=2, 7..=7]));
        for bad in
            ["", ",", "1,", "2-1", "-1", "a", "0-", "1-2-3", "+1", " 1", "1 ", "70000", "0\n"]
        {
            assert_eq!(parse_list(bad), None, "{bad:?}");
        }
        assert!(is_subset("1,3-4", "0-7") && is_subset("0-65535", "0-3,4-65535"));
        assert!(!is_subset("1,3-4", "0-3") && !is_subset("0", ""));
    }

    fn written(resources: &Resources, version: Version) -> Vec<String> {
        let settings = resources.settings(version).unwrap();
        let all = resources.swap(1 << 20, version).into_iter().chain(settings);
        all.map(|it| format!("{}={}", it.file, it.value)).collect()
    }

    #[test]
    fn each_version_has_its_own_files_and_units() {
        let resources = Resources {
            cpuset_cpus: Some("0-1".into()),
            cpuset_mems: Some("0".into()),
            memory_swap: Some(3 << 20),
            memory_reservation: Some(4096),
            blkio_weight: Some(500),
            disks: Vec::new(),
            oom_kill_disable: false,
        };
        let expected = [
            "memory.memsw.limit_in_bytes=3145728",
            "memory.soft_limit_in_bytes=4096",
            "cpuset.cpus=0-1",
            "cpuset.mems=0",
            "blkio.bfq.weight=500",
        ];
        assert_eq!(written(&resources, Version::V1), expected);
        let expected = [
            "memory.swap.max=2097152",
            "memory.low=4096",
            "cpuset.cpus=0-1",
            "cpuset.mems=0",
            "io.bfq.weight=500",
        ];
        assert_eq!(written(&resources, Version::V2), expected);
        let instead = |version| resources.settings(version).unwrap().pop().unwrap().instead;
        assert_eq!(instead(Version::V1), Some(("blkio.weight", "500".into())));
        assert_eq!(instead(Version::V2), Some(("io.weight", "4950".into())));
        assert_eq!([10, 100, 1000].map(io_weight), [1, 910, 10_000]);
    }

    #[test]
    fn swap_is_none_any_or_what_is_left_of_the_total() {
        let swap = |memory_swap, version| {
            let resources = Resources { memory_swap, ..Resources::default() };
            resources.swap(100, version).map(|it| (it.value, it.optional))
        };
        assert_eq!(swap(None, Version::V1), Some(("100".into(), true)));
        assert_eq!(swap(None, Version::V2), Some(("0".into(), true)));
        assert_eq!(swap(Some(-1), Version::V2), None);
        assert_eq!(swap(Some(100), Version::V2), Some(("0".into(), false)));
        assert_eq!(swap(Some(130), Version::V1), Some(("130".into(), false)));
    }

    #[test]
    fn what_version_2_lacks_is_said() {
        let resources = Resources { oom_kill_disable: true, ..Resources::default() };
        assert_eq!(written(&resources, Version::V1)[1], "memory.oom_control=1");
        let error = resources.settings(Version::V2).unwrap_err().to_string();
        assert!(error.contains("oom-kill-disable") && error.contains("version 2"), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let none = Resources::default;
        let limits = |memory_bytes| Limits { memory_bytes, ..Limits::default() };
        for (resources, memory, word) in [
            (Resources { cpuset_cpus: Some("x".into()), ..none() }, None, "cpuset-cpus"),
            (Resources { cpuset_mems: Some("".into()), ..none() }, None, "cpuset-mems"),
            (Resources { memory_swap: Some(5), ..none() }, None, "--memory"),
            (Resources { memory_swap: Some(5), ..none() }, Some(6), "5 is less"),
            (Resources { memory_swap: Some(-2), ..none() }, Some(6), "-2 is less"),
            (Resources { memory_reservation: Some(7), ..none() }, Some(6), "7 is more"),
            (Resources { blkio_weight: Some(9), ..none() }, None, "from 10 to 1000"),
            (Resources { blkio_weight: Some(1001), ..none() }, None, "from 10 to 1000"),
        ] {
            let error = resources.check(&limits(memory)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let good = Resources {
            memory_swap: Some(6),
            memory_reservation: Some(6),
            blkio_weight: Some(10),
            ..none()
        };
        good.check(&limits(Some(6))).unwrap();
        Resources { memory_swap: Some(-1), ..none() }.check(&limits(None)).unwrap();
    }
}
