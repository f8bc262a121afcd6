//! Options of `isolab run` that limit a container at single disks.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
};

use clap::Args;
use container::cgroup::{DiskLimit, DiskLimitKind};
use nix::sys::stat::{major, minor};

use crate::units;

/// A disk with a number.
type DiskValue = ((u64, u64), u64);

#[derive(Debug, Args)]
pub(super) struct DiskArguments {
    /// Limit reads from a disk, in bytes per second, such as /dev/sda:1M; may be repeated
    #[arg(long, value_name = "DISK:SIZE", value_parser = bytes)]
    device_read_bps: Vec<DiskValue>,
    /// Limit writes to a disk, in bytes per second; may be repeated
    #[arg(long, value_name = "DISK:SIZE", value_parser = bytes)]
    device_write_bps: Vec<DiskValue>,
    /// Limit reads from a disk, in operations per second; may be repeated
    #[arg(long, value_name = "DISK:NUMBER", value_parser = operations)]
    device_read_iops: Vec<DiskValue>,
    /// Limit writes to a disk, in operations per second; may be repeated
    #[arg(long, value_name = "DISK:NUMBER", value_parser = operations)]
    device_write_iops: Vec<DiskValue>,
    /// Weight at one busy disk, 10 to 1000; may be repeated
    #[arg(long, value_name = "DISK:WEIGHT", value_parser = operations)]
    blkio_weight_device: Vec<DiskValue>,
}

impl DiskArguments {
    /// What each option limits, and what was given.
    fn all(&self) -> [(DiskLimitKind, &[DiskValue]); 5] {
        use DiskLimitKind::{ReadBytes, Reads, Weight, WriteBytes, Writes};
        [
            (ReadBytes, &self.device_read_bps),
            (WriteBytes, &self.device_write_bps),
            (Reads, &self.device_read_iops),
            (Writes, &self.device_write_iops),
            (Weight, &self.blkio_weight_device),
        ]
    }

    pub(super) fn limits(&self) -> Vec<DiskLimit> {
        let limits = self.all().into_iter().flat_map(|(kind, values)| {
            values.iter().map(move |(device, value)| DiskLimit {
                device: *device,
                kind,
                value: *value,
            })
        });
        limits.collect()
    }
}

fn bytes(text: &str) -> Result<DiskValue, String> {
    let (disk, size) = split(text, "/dev/sda:1M")?;
    Ok((disk, units::size(size)?))
}

fn operations(text: &str) -> Result<DiskValue, String> {
    let (disk, number) = split(text, "/dev/sda:100")?;
    Ok((disk, units::count(number)?.into()))
}

/// The numbers of the disk, and what stands behind the colon.
fn split<'a>(text: &'a str, example: &str) -> Result<((u64, u64), &'a str), String> {
    let parts = text.rsplit_once(':').filter(|(path, _)| path.starts_with("/dev/"));
    let (path, value) =
        parts.ok_or_else(|| format!("invalid disk limit: {text:?}; use one such as {example}"))?;
    let found = fs::metadata(path).map_err(|error| format!("cannot find {path}: {error}"))?;
    match found.file_type().is_block_device() {
        true => Ok(((major(found.rdev()), minor(found.rdev())), value)),
        false => Err(format!("{path} is not a block device")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_disk_is_refused() {
        for wrong in
            ["", "/dev/null", "/dev/null:1M", "/dev/isolab-none:1M", "/etc/passwd:1M", ":1"]
        {
            assert!(bytes(wrong).is_err() && operations(wrong).is_err(), "{wrong}");
        }
    }
}
