//! `--device DEVICE[:PATH[:PERMISSIONS]]`: the node inside, and the cgroup's leave to use it.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use container::{Spec, devices::Access};

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

impl HostDevice {
    /// Adds it, or all devices of the directory, to a container's.
    pub(super) fn add(&self, spec: &mut Spec) -> Result<(), Failure> {
        let added = spec.add_device(&self.source, &self.destination, self.access);
        Ok(added.map_err(sandbox::Error::from)?)
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
