//! The mounts of a container, as data: the defaults, and the meaning of mount(8)'s options.

use std::path::{Component, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// A mount, as in the OCI runtime specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, an absolute path inside.
    pub destination: PathBuf,
    /// The type of file system; `bind` for a path of the host.
    #[serde(rename = "type")]
    pub kind: String,
    /// The source: for a bind mount a path of the host, otherwise a name for lists of mounts.
    pub source: PathBuf,
    /// Options of mount(8): `ro`, `nosuid`, `nodev`, `noexec`, `rbind`, and those of the file
    /// system: `mode=755`. A bind mount shows no devices unless it has the option `dev`.
    pub options: Vec<String>,
}

impl Mount {
    fn new(destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { destination: destination.into(), kind: kind.into(), source: source.into(), options }
    }

    /// Checks its destination: an absolute path below the root, without `..`.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let path = &self.destination;
        let mut names = path.components().skip(1).peekable();
        let is_below = path.is_absolute()
            && names.peek().is_some()
            && names.all(|name| matches!(name, Component::Normal(_)));
        let refused = || Error::Destination { path: path.clone() };
        if is_below { Ok(()) } else { Err(refused()) }
    }

    /// Whether it is the container's own cgroup, which is mounted in a special way.
    pub fn is_own_cgroup(&self) -> bool {
        self.kind == "cgroup" || self.kind == "cgroup2"
    }

    /// Whether it is a bind mount.
    pub fn is_bind(&self) -> bool {
        self.kind == "bind"
            || self.options.iter().any(|option| option == "bind" || option == "rbind")
    }
}

/// The default mounts: /proc, /sys, /dev, pseudo-terminals, shared memory, message queues.
pub(crate) fn usual() -> Vec<Mount> {
    const KERNEL: [&str; 3] = ["nosuid", "noexec", "nodev"];
    let pts = ["nosuid", "noexec", "ptmxmode=0666", "mode=0620", "gid=5"];
    let shm = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"];
    let mut all = bare();
    all.push(Mount::new("/dev/pts", "devpts", "devpts", &pts));
    all.push(Mount::new("/dev/shm", "tmpfs", "shm", &shm));
    all.push(Mount::new("/dev/mqueue", "mqueue", "mqueue", &KERNEL));
    let view = ["nosuid", "noexec", "nodev", "ro"];
    all.push(Mount::new("/sys", "sysfs", "sysfs", &view));
    all.push(Mount::new("/sys/fs/cgroup", "cgroup", "cgroup", &view));
    all
}

/// The mounts for a program that is executed from memory.
pub(crate) fn bare() -> Vec<Mount> {
    let dev = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    vec![
        Mount::new("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        Mount::new("/dev", "tmpfs", "tmpfs", &dev),
    ]
}

/// The options of a mount, parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `MOUNT_ATTR_*` to set (mount_setattr(2)).
    pub(crate) attributes: u64,
    /// Whether a bind mount includes the mounts below it.
    pub(crate) recursive: bool,
    /// Those of the file system.
    pub(crate) data: Vec<(String, Option<String>)>,
}

impl Options {
    pub(crate) fn of(mount: &Mount) -> Self {
        let mut options = Self::default();
        for option in &mount.options {
            match option.as_str() {
                "ro" => options.attributes |= libc::MOUNT_ATTR_RDONLY,
                "nosuid" => options.attributes |= libc::MOUNT_ATTR_NOSUID,
                "nodev" => options.attributes |= libc::MOUNT_ATTR_NODEV,
                "noexec" => options.attributes |= libc::MOUNT_ATTR_NOEXEC,
                "noatime" => options.attributes |= libc::MOUNT_ATTR_NOATIME,
                "strictatime" => options.attributes |= libc::MOUNT_ATTR_STRICTATIME,
                "nodiratime" => options.attributes |= libc::MOUNT_ATTR_NODIRATIME,
                "nosymfollow" => options.attributes |= libc::MOUNT_ATTR_NOSYMFOLLOW,
                "rbind" => options.recursive = true,
                // Defaults of a new mount; and all mounts are private.
                "bind" | "rw" | "suid" | "dev" | "exec" | "relatime" | "atime" | "diratime"
                | "private" | "rprivate" | "defaults" => {}
                other => options.data.push(match other.split_once('=') {
                    Some((key, value)) => (key.into(), Some(value.into())),
                    None => (other.into(), None),
                }),
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_of_the_mount_or_of_the_file_system() {
        let mount = Mount::new("/x", "tmpfs", "x", &["ro", "nodev", "mode=755", "huge"]);
        let options = Options::of(&mount);
        assert_eq!(options.attributes, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV);
        let expected = [("mode".into(), Some("755".into())), ("huge".into(), None)];
        assert_eq!(options.data, expected);
    }
}
