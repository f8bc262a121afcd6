//! Limits for single disks: how fast they are read and written, and the weight of a cgroup's requests.

use super::setting::Setting;
use crate::{
    Error,
    cgroup_layout::{Controller, Version},
};

/// A limit for one disk: in `linux.resources.blockIO` in config.json, an entry of
/// `throttleReadBpsDevice` and its like, or of `weightDevice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLimit {
    /// Major and minor number of the block device, which is a whole disk.
    pub device: (u64, u64),
    /// What is limited.
    pub kind: DiskLimitKind,
    /// The limit per second, or the weight from 10 to 1000.
    pub value: u64,
}

/// What a [`DiskLimit`] limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskLimitKind {
    /// Bytes that are read per second.
    ReadBytes,
    /// Bytes that are written per second.
    WriteBytes,
    /// Reads per second.
    Reads,
    /// Writes per second.
    Writes,
    /// The weight against its neighbours where the disk is busy.
    Weight,
}

impl DiskLimitKind {
    /// The option of `docker run` that sets it.
    fn option(self) -> &'static str {
        match self {
            Self::ReadBytes => "device-read-bps",
            Self::WriteBytes => "device-write-bps",
            Self::Reads => "device-read-iops",
            Self::Writes => "device-write-iops",
            Self::Weight => "blkio-weight-device",
        }
    }
}

impl DiskLimit {
    /// Checks the value.
    pub(super) fn check(&self) -> Result<(), Error> {
        let refused = |why: String| Err(Error::Resource { option: self.kind.option(), why });
        match (self.kind, self.value) {
            (DiskLimitKind::Weight, 10..=1000) => Ok(()),
            (DiskLimitKind::Weight, weight) => refused(format!("{weight} is not from 10 to 1000")),
            // To the kernel, 0 is no limit on version 1, and nothing on version 2.
            (_, 0) => refused("0 would stop the disk: leave the option out for no limit".into()),
            _ => Ok(()),
        }
    }

    /// Its file and value: the kernel's documents
    /// admin-guide/cgroup-v1/blkio-controller and admin-guide/cgroup-v2, "IO Interface Files".
    pub(super) fn setting(&self, version: Version) -> Setting {
        let Self { device: (major, minor), kind, value } = self;
        let disk = format!("{major}:{minor}");
        let (file, value) = match (version, kind) {
            (Version::V1, DiskLimitKind::ReadBytes) => {
                ("blkio.throttle.read_bps_device", format!("{disk} {value}"))
            }
            (Version::V1, DiskLimitKind::WriteBytes) => {
                ("blkio.throttle.write_bps_device", format!("{disk} {value}"))
            }
            (Version::V1, DiskLimitKind::Reads) => {
                ("blkio.throttle.read_iops_device", format!("{disk} {value}"))
            }
            (Version::V1, DiskLimitKind::Writes) => {
                ("blkio.throttle.write_iops_device", format!("{disk} {value}"))
            }
            (Version::V2, DiskLimitKind::ReadBytes) => ("io.max", format!("{disk} rbps={value}")),
            (Version::V2, DiskLimitKind::WriteBytes) => ("io.max", format!("{disk} wbps={value}")),
            (Version::V2, DiskLimitKind::Reads) => ("io.max", format!("{disk} riops={value}")),
            (Version::V2, DiskLimitKind::Writes) => ("io.max", format!("{disk} wiops={value}")),
            (Version::V1, DiskLimitKind::Weight) => {
                ("blkio.bfq.weight_device", format!("{disk} {value}"))
            }
            (Version::V2, DiskLimitKind::Weight) => ("io.bfq.weight", format!("{disk} {value}")),
        };
        // As with the weight for all disks: the file of the I/O scheduler bfq, or else the controller's own.
        let weight = u16::try_from(self.value).unwrap_or(u16::MAX);
        let instead = match (kind, version) {
            (DiskLimitKind::Weight, Version::V1) => {
                Some(("blkio.weight_device", format!("{disk} {weight}")))
            }
            (DiskLimitKind::Weight, Version::V2) => {
                Some(("io.weight", format!("{disk} {}", io_weight(weight))))
            }
            _ => None,
        };
        Setting { instead, ..Setting::new(Controller::Io, file, value) }
    }
}

/// Maps 10..1000 to 1..10000, as other runtimes do.
pub(super) fn io_weight(weight: u16) -> u32 {
    1 + u32::from(weight.clamp(10, 1000) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [DiskLimitKind; 5] = [
        DiskLimitKind::ReadBytes,
        DiskLimitKind::WriteBytes,
        DiskLimitKind::Reads,
        DiskLimitKind::Writes,
        DiskLimitKind::Weight,
    ];

    fn limit(kind: DiskLimitKind, value: u64) -> DiskLimit {
        DiskLimit { device: (8, 16), kind, value }
    }

    #[test]
    fn each_version_has_its_own_files() {
        let written = |version| {
            KINDS.map(|kind| {
                let setting = limit(kind, 500).setting(version);
                format!("{}={}", setting.file, setting.value)
            })
        };
        let expected = [
            "blkio.throttle.read_bps_device=8:16 500",
            "blkio.throttle.write_bps_device=8:16 500",
            "blkio.throttle.read_iops_device=8:16 500",
            "blkio.throttle.write_iops_device=8:16 500",
            "blkio.bfq.weight_device=8:16 500",
        ];
        assert_eq!(written(Version::V1), expected);
        let expected = [
            "io.max=8:16 rbps=500",
            "io.max=8:16 wbps=500",
            "io.max=8:16 riops=500",
            "io.max=8:16 wiops=500",
            "io.bfq.weight=8:16 500",
        ];
        assert_eq!(written(Version::V2), expected);
        let instead = |version| limit(DiskLimitKind::Weight, 500).setting(version).instead;
        assert_eq!(instead(Version::V1), Some(("blkio.weight_device", "8:16 500".into())));
        assert_eq!(instead(Version::V2), Some(("io.weight", "8:16 4950".into())));
    }

    #[test]
    fn what_would_stop_a_disk_is_refused() {
        for kind in KINDS {
            let error = limit(kind, 0).check().unwrap_err().to_string();
            assert!(error.contains(kind.option()), "{error}");
            limit(kind, 100).check().unwrap();
        }
        limit(DiskLimitKind::Weight, 1001).check().unwrap_err();
        limit(DiskLimitKind::Reads, u64::MAX).check().unwrap();
    }
}
