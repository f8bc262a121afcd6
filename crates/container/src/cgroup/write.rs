//! Writes a cgroup's limits into its files, and explains why when the kernel rejects one.

use std::io::{self, Read as _, Write as _};

use nix::{errno::Errno, fcntl::OFlag};

use super::{Cgroup, Made, path::inherit_cpuset, resources::is_subset, setting::Setting};
use crate::{
    Error,
    cgroup_layout::{Controller, Version},
    error::file,
};

/// More than any file that is read here contains.
const TEXT: u64 = 64 << 10;

impl Made {
    /// The content of one of its files; empty if it cannot be read.
    pub(super) fn read(&self, name: &str) -> Option<String> {
        let mut text = String::new();
        self.file(name, OFlag::O_RDONLY).ok()?.take(TEXT).read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn write(&self, name: &str, value: &str) -> Result<(), Error> {
        let mut opened = self.file(name, OFlag::O_WRONLY)?;
        let written = opened.write_all(value.as_bytes());
        written.map_err(|error| file("write the limit", self.directory.path.join(name))(error))
    }

    /// A new cpuset of version 1 has no processors and no memory nodes, and no process can join it
    /// (cpuset(7)): it gets all that its parent has.
    fn inherit_cpuset(&self) -> Result<(), Error> {
        for name in ["cpuset.cpus", "cpuset.mems"] {
            let above = || self.read(&format!("../{name}")).unwrap_or_default();
            let mut list = above();
            if list.trim().is_empty() && self.directory.parents_are_made {
                // Whoever has made the parent has left it so.
                self.directory.path.parent().map_or(Ok(()), inherit_cpuset)?;
                list = above();
            }
            self.write(name, list.trim())?;
        }
        Ok(())
    }

    /// Version 2 accepts processors that do not exist; a cgroup left without any may use all.
    fn check_cpuset(&self, setting: &Setting) -> Result<(), Error> {
        let effective = match (setting.file, self.directory.version) {
            ("cpuset.cpus", Version::V1) => "cpuset.effective_cpus",
            ("cpuset.mems", Version::V1) => "cpuset.effective_mems",
            ("cpuset.cpus", Version::V2) => "cpuset.cpus.effective",
            _ => "cpuset.mems.effective",
        };
        let available = self.read(effective).unwrap_or_default().trim().to_owned();
        if is_subset(&setting.value, &available) {
            return Ok(());
        }
        let (file, wanted) = (setting.file, setting.value.clone());
        let above = self.directory.path.parent().unwrap_or(&self.directory.path).to_owned();
        Err(Error::BeyondParent { file, wanted, above, available })
    }

    /// The nearest ancestor with a CPU quota, which no descendant may exceed on version 1.
    fn quota_above(&self, wanted: &str) -> Error {
        let mut above = self.directory.path.clone();
        let mut way = String::new();
        while above.pop() {
            way.push_str("../");
            let read = |name: &str| self.read(&format!("{way}{name}"));
            let Some(quota) = read("cpu.cfs_quota_us") else { break };
            let period = read("cpu.cfs_period_us").unwrap_or_default();
            if quota.trim() != "-1" {
                let available = format!("{} of {}", quota.trim(), period.trim());
                let (file, wanted) = ("cpu.cfs_quota_us", wanted.to_owned());
                return Error::BeyondParent { file, wanted, above, available };
            }
        }
        let (file, wanted) = ("cpu.cfs_quota_us", wanted.to_owned());
        let above = self.directory.path.parent().unwrap_or(&self.directory.path).to_owned();
        Error::BeyondParent {
            file,
            wanted,
            above,
            available: "less, where it cannot be seen".into(),
        }
    }
}

impl Cgroup {
    /// What has to be true before the settings are written.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        let cpusets = self.directories.iter().filter(|made| {
            made.directory.version == Version::V1
                && made.directory.controllers.contains(&Controller::Cpuset)
        });
        cpusets.map(Made::inherit_cpuset).fold(Ok(()), Result::and)
    }

    /// Writes the settings of one file, one write each.
    pub(super) fn set(&self, settings: &[Setting]) -> Result<(), Error> {
        let Some(first) = settings.first() else { return Ok(()) };
        let home = self.home(first.controller).ok_or(Error::NoController {
            controller: first.controller.name(),
            why: "its hierarchy has no directory for this container".into(),
        })?;
        if first.controller == Controller::Cpuset {
            home.check_cpuset(first)?;
        }
        let mut opened = match home.file(first.file, OFlag::O_WRONLY) {
            Err(error) if is_missing(&error) => return home.set_instead(first),
            opened => opened?,
        };
        for setting in settings {
            let written = opened.write_all(setting.value.as_bytes());
            written.or_else(|error| home.explain(setting, error))?;
        }
        Ok(())
    }
}

impl Made {
    /// The kernel has no such file.
    fn set_instead(&self, setting: &Setting) -> Result<(), Error> {
        match &setting.instead {
            None if setting.optional => Ok(()),
            Some((name, value)) => match self.write(name, value) {
                Err(error) if is_missing(&error) => Err(self.lacks(setting)),
                written => written,
            },
            None => Err(self.lacks(setting)),
        }
    }

    fn lacks(&self, setting: &Setting) -> Error {
        let controller = setting.controller.name_in(self.directory.version);
        Error::NoCgroupFile { controller, file: setting.file }
    }

    fn explain(&self, setting: &Setting, error: io::Error) -> Result<(), Error> {
        let errno = error.raw_os_error().map(Errno::from_raw);
        match (setting.controller, setting.file, errno) {
            // A cgroup never allows more than its parent, and root of a container may not change its
            // own: the limits of the parent apply.
            (Controller::Devices, _, Some(Errno::EPERM)) => Ok(()),
            // A partition, or a disk without requests of its own.
            (Controller::Io, _, Some(Errno::ENODEV)) => {
                let disk = setting.value.split(' ').next().unwrap_or_default();
                let why = format!("{disk} is not a whole disk that the kernel can limit");
                Err(Error::Resource { option: "device-read-bps and the like", why })
            }
            (Controller::Cpu, "cpu.cfs_quota_us", Some(Errno::EINVAL)) => {
                Err(self.quota_above(&setting.value))
            }
            _ => Err(file("write the limit", self.directory.path.join(setting.file))(error)),
        }
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
