//! The mounts of a container, as data: the defaults, and the meaning of mount(8)'s options.

mod options;
mod propagation;

use std::path::{Component, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

pub use options::known as known_options;
pub(crate) use options::{Attributes, Options};
pub use propagation::{Peers, Propagation};

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
    /// system: `mode=755`. A bind mount shows no devices unless it has the option `dev`, or the
    /// container has [exact attributes](crate::spec::Inside::exact_attributes).
    pub options: Vec<String>,
}

impl Mount {
    fn new(destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { destination: destination.into(), kind: kind.into(), source: source.into(), options }
    }

    /// Checks its options, and its destination: an absolute path below the root, without `..`.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some((option, why)) = Options::of(self).problem(self) {
            return Err(Error::MountOption { path: self.destination.clone(), option, why });
        }
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
        (self.kind == "bind"
            || self.options.iter().any(|option| option == "bind" || option == "rbind"))
            && !self.is_remount()
    }

    /// Whether something that the host mounts later can show up in it.
    pub(crate) fn reaches_the_host(&self) -> bool {
        let words = self.options.iter().filter_map(|option| Propagation::parse(option));
        words.into_iter().any(Propagation::reaches_the_host)
    }

    /// Whether it changes the attributes of what is mounted at its destination already.
    pub(crate) fn is_remount(&self) -> bool {
        self.options.iter().any(|option| option == "remount")
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
