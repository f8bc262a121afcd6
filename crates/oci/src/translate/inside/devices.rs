//! Device nodes (config-linux.md, "Devices" and "Default Devices").

use std::path::Path;

use container::{Device, Mount, spec::Inside, without_steps_up};

use crate::{
    config::{Config, DeviceEntry},
    error::{Result, property},
};

/// The default devices and those of the configuration. A `/dev` of the host has its own.
pub(super) fn devices(config: &Config, mounts: &[Mount]) -> Result<Vec<Device>> {
    let dev = Path::new("/dev");
    let mut devices = Inside::default().devices;
    for (number, given) in config.linux.devices.iter().enumerate() {
        let device = device(given, number)?;
        devices.retain(|other| other.path != device.path);
        devices.push(device);
    }
    if mounts.iter().any(|mount| mount.is_bind() && mount.destination == dev) {
        devices.clear();
    }
    Ok(devices)
}

fn device(given: &DeviceEntry, number: usize) -> Result<Device> {
    let place = |name: &str| format!("linux.devices[{number}].{name}");
    let kind = match &*given.kind {
        "c" | "u" => 'c',
        "b" => 'b',
        "p" => 'p',
        other => return Err(property(place("type"), format!("{other:?} is not c, b, u or p"))),
    };
    let of = |value: Option<i64>, name: &str| match value {
        // A FIFO has no number.
        _ if kind == 'p' => Ok(0),
        Some(value) => u32::try_from(value)
            .map_err(|_| property(place(name), format!("{value} is not a device's number"))),
        None => Err(property(place(name), "it is missing")),
    };
    let (major, minor) = (of(given.major, "major")?, of(given.minor, "minor")?);
    let path = without_steps_up(&given.path);
    if !given.path.is_absolute() || path == Path::new("/") {
        return Err(property(place("path"), format!("{path:?} is not the path of a device")));
    }
    let mode = given.file_mode.unwrap_or(0o666) & 0o7777;
    let (uid, gid) = (given.uid.unwrap_or(0), given.gid.unwrap_or(0));
    Ok(Device { path, kind, major, minor, mode, uid, gid })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(devices: &serde_json::Value) -> Result<Vec<Device>> {
        let config = json!({ "ociVersion": "1.0.2", "linux": { "devices": devices } });
        super::devices(&serde_json::from_value(config).unwrap(), &[])
    }

    #[test]
    fn a_device_stands_above_the_default_one_of_its_path() {
        let other = json!({ "path": "/dev/x/../null", "type": "c", "major": 1, "minor": 3,
            "fileMode": 0o600, "uid": 5, "gid": 6 });
        let devices = of(&json!([other])).unwrap();
        let found: Vec<_> = devices.iter().filter(|it| it.path == Path::new("/dev/null")).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].mode, found[0].uid, found[0].gid), (0o600, 5, 6));
    }

    #[test]
    fn a_fifo_needs_no_number_and_a_device_does() {
        let fifo = of(&json!([{ "path": "/dev/fifo", "type": "p" }])).unwrap();
        assert_eq!(fifo.last().unwrap().kind, 'p');
        for wrong in [
            json!({ "path": "/dev/x", "type": "c", "major": 1 }),
            json!({ "path": "/dev/x", "type": "c", "major": -1, "minor": 1 }),
            json!({ "path": "/", "type": "c", "major": 1, "minor": 1 }),
            json!({ "path": "dev/x", "type": "c", "major": 1, "minor": 1 }),
            json!({ "path": "/dev/x", "type": "x", "major": 1, "minor": 1 }),
        ] {
            assert!(of(&json!([wrong])).is_err());
        }
    }
}
