//! `--device DEVICE[:PATH[:PERMISSIONS]]`: the node inside, and the cgroup's leave to use it.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use container::{
    Device, Mount, Namespace, Spec,
    devices::{Access, DeviceKind, DeviceRule},
};
use nix::{
    sys::stat::{major, minor},
    unistd::Uid,
};

use super::path;
use crate::failure::Failure;

/// A device of the host's, or a directory with some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostDevice {
    source: PathBuf,
    destination: PathBuf,
    access: Access,
}

/// Reads one.
pub(super) fn parse(text: &OsStr) -> Result<HostDevice, String> {
    let parts = path::split(text);
    let access = |text: &OsString| -> Result<Access, String> {
        let letters = text.to_str().filter(|letters| !letters.is_empty());
        let letters = letters.ok_or("the permissions are letters of rwm")?;
        Access::try_from(letters.to_owned()).map_err(|error| error.to_string())
    };
    let (source, place, access) = match parts.as_slice() {
        [source] => (source, source, Access::ALL),
        [source, place] if place.to_string_lossy().starts_with('/') => (source, place, Access::ALL),
        [source, letters] => (source, source, access(letters)?),
        [source, place, letters] => (source, place, access(letters)?),
        _ => return Err(r"it has too many colons: write a colon of a path as \:".into()),
    };
    let (source, destination) = (PathBuf::from(source), path::destination(place)?);
    if !destination.starts_with("/dev") || destination == Path::new("/dev") {
        return Err(format!("{destination:?} is not below /dev, and no device works elsewhere"));
    }
    if !source.is_absolute() {
        return Err(format!("the device {source:?} is not an absolute path"));
    }
    Ok(HostDevice { source, destination, access })
}

/// What every container has of its own in `/dev`.
const OWN: [&str; 6] = ["pts", "shm", "mqueue", "hugepages", "console", "ptmx"];

/// Adds all devices of the host's. Who is not root may use hardly any.
pub(in crate::run) fn add_all(spec: &mut Spec) -> Result<(), Failure> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let place = Path::new("/dev");
    let all = HostDevice { source: place.into(), destination: place.into(), access: Access::ALL };
    all.add_below(spec, place, place, &OWN)
}

impl HostDevice {
    /// Adds it, or all devices of the directory, to a container's.
    pub(super) fn add(&self, spec: &mut Spec) -> Result<(), Failure> {
        let found = fs::canonicalize(&self.source).map_err(Failure::at(self.action()))?;
        self.add_below(spec, &found, &self.destination, &[])
    }

    /// Without those of a directory that have the names `left_out`.
    fn add_below(
        &self,
        spec: &mut Spec,
        found: &Path,
        place: &Path,
        left_out: &[&str],
    ) -> Result<(), Failure> {
        let about = fs::symlink_metadata(found).map_err(Failure::at(self.action()))?;
        if about.is_dir() {
            let listing = fs::read_dir(found).map_err(Failure::at(self.action()))?;
            for entry in listing {
                let entry = entry.map_err(Failure::at(self.action()))?;
                let is_meant = entry.file_type().is_ok_and(|kind| {
                    kind.is_dir() || kind.is_block_device() || kind.is_char_device()
                });
                let name = entry.file_name();
                if is_meant && !left_out.iter().any(|left_out| name == *left_out) {
                    self.add_below(spec, &entry.path(), &place.join(name), &[])?;
                }
            }
            return Ok(());
        }
        let kind = match about.file_type() {
            kind if kind.is_char_device() => DeviceKind::Char,
            kind if kind.is_block_device() => DeviceKind::Block,
            _ => {
                let why = io::Error::other("it is not a device; -v shows other files inside");
                return Err(Failure::at(self.action())(why));
            }
        };
        let (major, minor) = (major(about.rdev()) as u32, minor(about.rdev()) as u32);
        spec.budget.allow(DeviceRule {
            allow: true,
            kind,
            major: Some(major),
            minor: Some(minor),
            access: self.access,
        });
        if !Uid::effective().is_root() || spec.boundary.namespaces.user != Namespace::Shared {
            // Nobody makes a node in a user namespace: the host's own is shown.
            let options = vec!["dev".into()];
            let (destination, source) = (place.to_owned(), found.to_owned());
            spec.inside.mounts.push(Mount { destination, kind: "bind".into(), source, options });
            return Ok(());
        }
        let kind = if kind == DeviceKind::Block { 'b' } else { 'c' };
        let device = Device { path: place.into(), kind, major, minor, mode: about.mode() & 0o777 };
        spec.inside.devices.retain(|usual| usual.path != device.path);
        spec.inside.devices.push(device);
        Ok(())
    }

    fn action(&self) -> String {
        format!("show the device {} inside", self.source.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_docker_reads_it() {
        let device = |text: &str| parse(text.as_ref()).unwrap();
        let all = |text: &str| {
            let device = device(text);
            (device.source, device.destination, device.access.to_string())
        };
        let of =
            |source: &str, place: &str, access: &str| (source.into(), place.into(), access.into());
        assert_eq!(all("/dev/kvm"), of("/dev/kvm", "/dev/kvm", "rwm"));
        assert_eq!(all("/dev/kvm:/dev/x"), of("/dev/kvm", "/dev/x", "rwm"));
        assert_eq!(all("/dev/kvm:r"), of("/dev/kvm", "/dev/kvm", "r"));
        assert_eq!(all("/dev/kvm:/dev/x:rw"), of("/dev/kvm", "/dev/x", "rw"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "kvm",
            "/dev/kvm:x",
            "/dev/kvm:/dev/x:",
            "/dev/kvm:/dev/x:rx",
            "/a:/b:r:c",
            "/dev/kvm:/",
        ] {
            assert!(parse(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_device_is_a_node_and_a_rule() {
        let mut spec = Spec::default();
        parse("/dev/full:/dev/other:r".as_ref()).unwrap().add(&mut spec).unwrap();
        let (device, rule) =
            (spec.inside.devices.last().unwrap(), spec.budget.devices.last().unwrap());
        assert_eq!((&*device.path, device.major, device.minor), (Path::new("/dev/other"), 1, 7));
        assert_eq!((rule.major, rule.minor, rule.access), (Some(1), Some(7), Access::READ));
        assert!(parse("/etc/passwd:/dev/x".as_ref()).unwrap().add(&mut spec).is_err());
        assert!(parse("/dev/no-such".as_ref()).unwrap().add(&mut spec).is_err());
    }
}
