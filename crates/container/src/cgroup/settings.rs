//! Limits as files of a cgroup.

use sandbox::Limits;

use super::{Resources, setting::Setting};
use crate::{
    Error,
    cgroup_layout::{Controller, Version},
    devices::{self, DeviceRule},
};

/// The settings for `limits` and `resources`, in the order of writing.
///
/// # Errors
///
/// When this version lacks one of the resources.
pub(super) fn settings(
    limits: &Limits,
    resources: &Resources,
    version: Version,
) -> Result<Vec<Setting>, Error> {
    let mut settings = of_limits(limits, resources, version);
    settings.extend(resources.settings(version)?);
    Ok(settings)
}

fn of_limits(limits: &Limits, resources: &Resources, version: Version) -> Vec<Setting> {
    use Controller::{Cpu, Memory, Pids};
    let mut settings = Vec::new();
    if let Some(bytes) = limits.memory_bytes {
        let file = match version {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        settings.push(Setting::new(Memory, file, bytes.to_string()));
        settings.extend(resources.swap(bytes, version));
    }
    let mut set = |controller, file, value: String| {
        settings.push(Setting::new(controller, file, value));
    };
    if let Some(quota) = limits.cpu_quota {
        let (quota, period) = (quota.quota.as_micros(), quota.period.as_micros());
        match version {
            Version::V1 => {
                if period != 100_000 {
                    set(Cpu, "cpu.cfs_period_us", period.to_string());
                }
                set(Cpu, "cpu.cfs_quota_us", quota.to_string());
            }
            Version::V2 => set(Cpu, "cpu.max", format!("{quota} {period}")),
        }
    }
    if let Some(weight) = limits.cpu_weight {
        match version {
            // 1024 shares are the default, as a weight of 100 is on version 2.
            Version::V1 => {
                set(Cpu, "cpu.shares", (u64::from(weight) * 1024 / 100).max(2).to_string());
            }
            Version::V2 => set(Cpu, "cpu.weight", weight.to_string()),
        }
    }
    if let Some(pids) = limits.pids {
        set(Pids, "pids.max", pids.to_string());
    }
    settings
}

/// The files and values for `limits` in a cgroup of version 1 or 2, in the order of writing:
/// `("cpu.max", "50000 100000")`. A kernel that does not count swap lacks those with `swap` or `memsw`
/// in their names.
pub fn files(limits: &Limits, version: u8) -> Vec<(&'static str, String)> {
    let version = if version == 1 { Version::V1 } else { Version::V2 };
    let settings = of_limits(limits, &Resources::default(), version).into_iter();
    settings.map(|setting| (setting.file, setting.value)).collect()
}

/// The settings of version 1 that allow only these devices.
pub(super) fn device_settings(rules: &[DeviceRule]) -> Result<Vec<Setting>, Error> {
    let setting = |(file, value)| Setting::new(Controller::Devices, file, value);
    match rules {
        [] => Ok(Vec::new()),
        rules => Ok(devices::lines(rules)?.into_iter().map(setting).collect()),
    }
}

#[cfg(test)]
mod tests {
    use sandbox::CpuQuota;

    use super::*;

    fn all() -> Limits {
        Limits {
            memory_bytes: Some(64 << 20),
            cpu_quota: Some(CpuQuota::cpus(0.5).unwrap()),
            cpu_weight: Some(200),
            pids: Some(64),
            vcpus: None,
        }
    }

    fn written(version: Version) -> Vec<String> {
        let settings = of_limits(&all(), &Resources::default(), version).into_iter();
        settings.map(|setting| format!("{}={}", setting.file, setting.value)).collect()
    }

    #[test]
    fn version_1_has_its_own_files_and_units() {
        let expected = [
            "memory.limit_in_bytes=67108864",
            "memory.memsw.limit_in_bytes=67108864",
            "cpu.cfs_quota_us=50000",
            "cpu.shares=2048",
            "pids.max=64",
        ];
        assert_eq!(written(Version::V1), expected);
    }

    #[test]
    fn version_2_has_its_own_files_and_units() {
        let expected = [
            "memory.max=67108864",
            "memory.swap.max=0",
            "cpu.max=50000 100000",
            "cpu.weight=200",
            "pids.max=64",
        ];
        assert_eq!(written(Version::V2), expected);
    }
}
