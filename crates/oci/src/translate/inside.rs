//! Question 3: the root and what is mounted in it.

use std::path::{Path, PathBuf};

use container::{Device, Mount, Root, spec::Inside};

use crate::{
    bundle::Bundle,
    config,
    error::{Result, property},
};

pub(super) fn inside(bundle: &Bundle) -> Result<Inside> {
    let config = &bundle.config;
    let rootfs = bundle.rootfs()?;
    let mounts: Result<Vec<Mount>> =
        config.mounts.iter().enumerate().map(|(number, it)| mount(bundle, it, number)).collect();
    Ok(Inside {
        root: Root::Directory(rootfs),
        read_only: config.root.as_ref().is_some_and(|root| root.readonly),
        keep_owners: false,
        upper_bytes: None,
        mounts: mounts?,
        devices: devices(config)?,
        masked_paths: config.linux.masked_paths.clone(),
        read_only_paths: config.linux.readonly_paths.clone(),
    })
}

fn mount(bundle: &Bundle, given: &config::Mount, number: usize) -> Result<Mount> {
    let place = |name: &str| format!("mounts[{number}].{name}");
    if !given.uid_mappings.is_empty() || !given.gid_mappings.is_empty() {
        return Err(property(place("uidMappings"), "isolab maps no ids of single mounts"));
    }
    let kind = match given.kind.as_deref() {
        _ if given.is_bind() => "bind",
        Some(kind) if !kind.is_empty() && kind != "none" => kind,
        _ => {
            return Err(property(
                place("type"),
                "it is missing, and the mount is not a bind mount",
            ));
        }
    };
    let source = given.source.clone().unwrap_or_else(|| kind.into());
    let source = if kind == "bind" { bundle.path(&source) } else { source };
    // Older configurations name a place below the root without the first slash.
    let destination = Path::new("/").join(&given.destination);
    let (kind, options) = (kind.to_owned(), given.options.clone());
    Ok(Mount { destination, kind, source, options })
}

/// What config-linux.md lists under "Default Devices", and those of the configuration.
fn devices(config: &config::Config) -> Result<Vec<Device>> {
    let mut devices = Inside::default().devices;
    for (number, given) in config.linux.devices.iter().enumerate() {
        let place = |name: &str| format!("linux.devices[{number}].{name}");
        let kind = match &*given.kind {
            "c" | "u" => 'c',
            "b" => 'b',
            "p" => 'p',
            other => return Err(property(place("type"), format!("{other:?} is not c, b, u or p"))),
        };
        let of = |value: Option<i64>, name: &str| {
            let value = value.unwrap_or_default();
            u32::try_from(value)
                .map_err(|_| property(place(name), format!("{value} is no number of a device")))
        };
        let (major, minor) = (of(given.major, "major")?, of(given.minor, "minor")?);
        let mode = given.file_mode.unwrap_or(0o666) & 0o7777;
        let path: PathBuf = given.path.clone();
        devices.retain(|device| device.path != path);
        devices.push(Device { path, kind, major, minor, mode });
    }
    Ok(devices)
}
