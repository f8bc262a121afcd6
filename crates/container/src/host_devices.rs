//! Devices of the host in a container: a node in its `/dev`, and permission of its cgroup to use it.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use nix::{
    sys::stat::{major, minor},
    unistd::Uid,
};

use crate::{
    Error,
    devices::{Access, DeviceKind, DeviceRule},
    error,
    mount::Mount,
    privileges::CapabilitySet,
    seccomp::Seccomp,
    spec::{Spec, device_nodes::Device, namespaces::Namespace},
};

/// What every container has of its own in `/dev`.
const OWN: [&str; 6] = ["pts", "shm", "mqueue", "hugepages", "console", "ptmx"];

impl Spec {
    /// Shows the host's device `source`, or all devices below that directory, at `destination`.
    ///
    /// # Errors
    ///
    /// When it cannot be found, or is not a device.
    pub fn add_device(
        &mut self,
        source: &Path,
        destination: &Path,
        access: Access,
    ) -> Result<(), Error> {
        let found = fs::canonicalize(source).map_err(error::file("find the device", source))?;
        add_below(self, &found, destination, access, &[])
    }

    /// Takes away all walls of questions 3 and 4 but the root: all capabilities, system calls and
    /// devices, and nothing is masked (`docker run --privileged`).
    ///
    /// # Errors
    ///
    /// When the host's devices cannot be listed.
    pub fn make_privileged(&mut self) -> Result<(), Error> {
        (self.power.seccomp, self.power.no_new_privileges) = (Seccomp::Unconfined, false);
        self.power.capabilities.bounding = CapabilitySet(u64::MAX);
        self.budget.devices.clear();
        self.unmask();
        for mount in &mut self.inside.mounts {
            if matches!(mount.kind.as_str(), "sysfs" | "cgroup" | "cgroup2") {
                mount.options.retain(|option| option != "ro");
            }
        }
        // Who is not root may use hardly any device.
        match Uid::effective().is_root() {
            true => add_below(self, "/dev".as_ref(), "/dev".as_ref(), Access::ALL, &OWN),
            false => Ok(()),
        }
    }

    /// Hides nothing of the kernel's file systems, and leaves all of them writable.
    pub fn unmask(&mut self) {
        self.inside.masked_paths.clear();
        self.inside.read_only_paths.clear();
    }
}

/// Adds what is at `found`, without those of a directory that have the names `left_out`.
fn add_below(
    spec: &mut Spec,
    found: &Path,
    destination: &Path,
    access: Access,
    left_out: &[&str],
) -> Result<(), Error> {
    let failed = || error::file("show the device", found);
    let about = fs::symlink_metadata(found).map_err(failed())?;
    if about.is_dir() {
        for listed in fs::read_dir(found).map_err(failed())? {
            let listed = listed.map_err(failed())?;
            let is_device = listed
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || kind.is_block_device() || kind.is_char_device());
            let name = listed.file_name();
            if is_device && !left_out.iter().any(|left_out| name == *left_out) {
                add_below(spec, &listed.path(), &destination.join(name), access, &[])?;
            }
        }
        return Ok(());
    }
    let kind = match about.file_type() {
        kind if kind.is_char_device() => DeviceKind::Char,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => {
            let why = io::Error::other("it is not a device; -v shows other files inside");
            return Err(failed()(why));
        }
    };
    let (major, minor) = (major(about.rdev()) as u32, minor(about.rdev()) as u32);
    let (some_major, some_minor) = (Some(major), Some(minor));
    spec.budget.allow(DeviceRule {
        allow: true,
        kind,
        major: some_major,
        minor: some_minor,
        access,
    });
    if !Uid::effective().is_root() || spec.boundary.namespaces.user != Namespace::Shared {
        // Nobody makes a node in a user namespace: the host's own is shown.
        let options = vec!["dev".into()];
        let (destination, source) = (destination.to_owned(), found.to_owned());
        spec.inside.mounts.push(Mount { destination, kind: "bind".into(), source, options });
        return Ok(());
    }
    let kind = if kind == DeviceKind::Block { 'b' } else { 'c' };
    let mode = about.mode() & 0o777;
    let device = Device { path: destination.into(), kind, major, minor, mode, uid: 0, gid: 0 };
    spec.inside.devices.retain(|usual| usual.path != device.path);
    spec.inside.devices.push(device);
    Ok(())
}
