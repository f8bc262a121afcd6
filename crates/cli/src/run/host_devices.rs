//! The devices of the host, for a container that may use all of them.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use container::Device;
use nix::{
    sys::stat::{major, minor},
    unistd::Uid,
};

use crate::failure::Failure;

/// File systems and names of `/dev` that every container has of its own.
const OWN: [&str; 6] = ["pts", "shm", "mqueue", "hugepages", "console", "ptmx"];

/// Adds the nodes of the host's `/dev` to `devices`. Who is not root may use hardly any.
pub(super) fn add(devices: &mut Vec<Device>) -> Result<(), Failure> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    collect(Path::new("/dev"), devices).map_err(Failure::at("list the devices in /dev"))
}

fn collect(directory: &Path, devices: &mut Vec<Device>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if OWN.iter().any(|own| entry.file_name() == *own) {
            continue;
        }
        let path = entry.path();
        // One that has gone since is not there.
        let Ok(found) = entry.metadata() else { continue };
        match kind(&found) {
            Some(kind) if !devices.iter().any(|known| known.path == path) => {
                let (major, minor) = (major(found.rdev()), minor(found.rdev()));
                let number = |number: u64| u32::try_from(number).unwrap_or_default();
                let (major, minor) = (number(major), number(minor));
                devices.push(Device { path, kind, major, minor, mode: found.mode() & 0o777 });
            }
            None if found.is_dir() => collect(&path, devices)?,
            _ => {}
        }
    }
    Ok(())
}

fn kind(found: &Metadata) -> Option<char> {
    let kind = found.file_type();
    if kind.is_char_device() { Some('c') } else { kind.is_block_device().then_some('b') }
}
