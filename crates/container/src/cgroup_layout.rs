//! Which cgroup hierarchies this host has, and below which directories cgroups may be made.
//!
//! Nothing is at a fixed path: `/proc/self/mountinfo` tells where the hierarchies are mounted,
//! `/proc/self/cgroup` where this process is in them (cgroups(7)).

mod v2;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use host::read_proc;

use crate::{
    Error,
    error::file,
    mounts::{self, MountInfo},
};

pub(crate) use v2::{INHERITED, limit_in};

/// A controller that enforces one of our limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    /// Quota and weight.
    Cpu,
    /// Memory and swap.
    Memory,
    /// Processes and threads.
    Pids,
    /// Processors and memory nodes.
    Cpuset,
    /// Disk time; version 1 calls it `blkio`.
    Io,
    /// Devices that may be used. A controller of version 1 only: on version 2 a BPF program decides.
    Devices,
}

impl Controller {
    /// The controllers for [`Limits`](sandbox::Limits).
    pub(crate) const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Pids];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpuset => "cpuset",
            Self::Io => "io",
            Self::Devices => "devices",
        }
    }

    /// Its name in hierarchies of that version.
    pub(crate) fn name_in(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Io, Version::V1) => "blkio",
            _ => self.name(),
        }
    }
}

/// The two versions of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One mounted hierarchy, and where in it this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: Version,
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// The directory of this process's own cgroup.
    pub(crate) own: PathBuf,
    /// On version 1, the controllers mounted there; on version 2, those available at the root.
    pub(crate) controllers: Vec<String>,
    /// Whether it is mounted read-write.
    pub(crate) writable: bool,
}

/// A directory below which a container's own is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) path: PathBuf,
    /// The controllers of the container's own directory there.
    pub(crate) controllers: Vec<Controller>,
    /// The launcher's own cgroup and those of its ancestors that the container is not below; it gets
    /// their limits as its own.
    pub(crate) skipped: Vec<PathBuf>,
}

/// The hierarchies of this host, as this process sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Determined once: a launcher that is moved to another cgroup later still makes cgroups where it
    /// was.
    pub(crate) fn of_this_process() -> Result<&'static Self, Error> {
        static FOUND: OnceLock<Layout> = OnceLock::new();
        if let Some(layout) = FOUND.get() {
            return Ok(layout);
        }
        let layout = Self::of("self")?;
        Ok(FOUND.get_or_init(|| layout))
    }

    /// The same for any `process`, a number or `self`.
    pub(crate) fn of(process: impl std::fmt::Display) -> Result<Self, Error> {
        let path = format!("/proc/{process}/cgroup");
        let own = read_proc(&path).map_err(file("read", &path))?;
        let mut layout = Self::parse(&mounts::all()?, &String::from_utf8_lossy(&own));
        for hierarchy in &mut layout.hierarchies {
            if hierarchy.version == Version::V2 {
                hierarchy.controllers = words_of(&hierarchy.point.join("cgroup.controllers"));
            }
        }
        Ok(layout)
    }

    fn parse(mounts: &[MountInfo], own: &str) -> Self {
        let memberships: Vec<(&str, &str)> = own.lines().filter_map(membership).collect();
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for mount in mounts {
            let (version, controllers) = match &*mount.kind {
                "cgroup2" => (Version::V2, Vec::new()),
                "cgroup" => (Version::V1, v1_controllers(&mount.super_options)),
                _ => continue,
            };
            let path = memberships.iter().find_map(|(of, path)| match version {
                Version::V2 => of.is_empty().then_some(*path),
                Version::V1 => of
                    .split(',')
                    .any(|of| controllers.iter().any(|controller| controller == of))
                    .then_some(*path),
            });
            // Inside another container the mount shows only a part: the path below its root.
            let below = path.map(Path::new).and_then(|path| path.strip_prefix(&mount.root).ok());
            // A path that leads out of the view (`/../..`, cgroup_namespaces(7)) is not followed.
            let below =
                below.filter(|below| !below.components().any(|part| part.as_os_str() == ".."));
            let point = mount.point.clone();
            let own = match below {
                Some(below) if below != Path::new("") => point.join(below),
                _ => point.clone(),
            };
            hierarchies.retain(|earlier| earlier.point != point);
            let writable = mount.is_writable();
            hierarchies.push(Hierarchy { version, point, own, controllers, writable });
        }
        Self { hierarchies }
    }

    /// The version 1 hierarchy with this controller.
    pub(crate) fn v1(&self, controller: Controller) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| {
            hierarchy.version == Version::V1
                && hierarchy.controllers.iter().any(|name| name == controller.name_in(Version::V1))
        })
    }

    /// This process's directory in the version 1 hierarchy that counts CPU time.
    pub(crate) fn accounting(&self) -> Option<&Path> {
        let counts = |hierarchy: &&Hierarchy| {
            let mut controllers = hierarchy.controllers.iter();
            hierarchy.version == Version::V1 && controllers.any(|name| name == "cpuacct")
        };
        self.hierarchies.iter().find(counts).map(|hierarchy| &*hierarchy.own)
    }

    pub(crate) fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.version == Version::V2)
    }

    /// The version whose hierarchies have the controllers `needed`: each controller is in one version
    /// only.
    pub(crate) fn version_for(&self, needed: &[Controller]) -> Version {
        let in_v1 = |controller: &Controller| self.v1(*controller).is_some();
        match needed.is_empty() {
            // Any hierarchy can group processes; version 2 can also kill them all.
            true if self.v2().is_some() => Version::V2,
            false if needed.iter().any(in_v1) => Version::V1,
            _ if self.v2().is_some() => Version::V2,
            _ => Version::V1,
        }
    }

    /// The directories below which the container's own are made, each with its controllers.
    pub(crate) fn parents(
        &self,
        needed: &[Controller],
        version: Version,
    ) -> Result<Vec<Parent>, Error> {
        if version == Version::V2 {
            return Ok(vec![self.v2_parent(needed)?]);
        }
        // Without a limit, one hierarchy groups the processes.
        let wanted = if needed.is_empty() { &[Controller::Pids][..] } else { needed };
        let mut parents: Vec<Parent> = Vec::new();
        for &controller in wanted {
            let path = self.v1_parent(controller)?;
            match parents.iter_mut().find(|parent| parent.path == path) {
                Some(parent) => parent.controllers.push(controller),
                None => {
                    parents.push(Parent {
                        path,
                        controllers: vec![controller],
                        skipped: Vec::new(),
                    });
                }
            }
        }
        Ok(parents)
    }

    /// The directory at `path` in every hierarchy that can be written to, with the controllers that it
    /// has there.
    pub(crate) fn all_at(&self, path: &Path) -> Vec<(PathBuf, Version, Vec<Controller>)> {
        let below = path.strip_prefix("/").unwrap_or(path);
        let all = [
            Controller::Cpu,
            Controller::Memory,
            Controller::Pids,
            Controller::Cpuset,
            Controller::Io,
            Controller::Devices,
        ];
        let at = |hierarchy: &Hierarchy| {
            let named = |controller: &Controller| {
                let name = controller.name_in(hierarchy.version);
                hierarchy.controllers.iter().any(|one| one == name)
            };
            let controllers = all.into_iter().filter(named).collect();
            (hierarchy.point.join(below), hierarchy.version, controllers)
        };
        self.hierarchies.iter().filter(|hierarchy| hierarchy.writable).map(at).collect()
    }

    fn v1_parent(&self, controller: Controller) -> Result<PathBuf, Error> {
        let lacking =
            |why: String| Error::NoController { controller: controller.name_in(Version::V1), why };
        let hierarchy = self.v1(controller).ok_or_else(|| lacking("it is not mounted".into()))?;
        if !hierarchy.writable {
            return Err(lacking(format!("{:?} is mounted read-only", hierarchy.point)));
        }
        if !may_write(&hierarchy.own) {
            return Err(lacking(format!("{:?} may not be written to", hierarchy.own)));
        }
        Ok(hierarchy.own.clone())
    }
}

fn may_write(directory: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

fn words_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// `4:memory:/user.slice`, `0::/user.slice`: the controllers and the path.
fn membership(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    rest.split_once(':')
}

fn v1_controllers(super_options: &str) -> Vec<String> {
    let no_controllers = ["rw", "ro", "xattr", "noprefix", "clone_children"];
    let all = super_options.split(',').filter(|option| !no_controllers.contains(option));
    all.map(str::to_owned).collect()
}

/// The container's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnDirectory {
    pub(crate) version: Version,
    /// On the host.
    pub(crate) path: PathBuf,
    /// The name of the hierarchy's mount point on the host: `cpu,cpuacct`.
    pub(crate) name: OsString,
    /// The controllers, which are also names for it.
    pub(crate) links: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mount(root: &str, point: &str, kind: &str, super_options: &str) -> MountInfo {
        MountInfo {
            root: root.into(),
            point: point.into(),
            options: "rw".into(),
            propagation: String::new(),
            kind: kind.into(),
            super_options: super_options.into(),
        }
    }

    #[test]
    fn a_hybrid_host_has_its_controllers_in_version_1() {
        let mounts = [
            mount("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
            mount("/", "/sys/fs/cgroup/unified", "cgroup2", "rw"),
        ];
        let layout = Layout::parse(&mounts, "2:cpu,cpuacct:/a\n0::/b\n");
        assert_eq!(layout.version_for(&[Controller::Cpu]), Version::V1);
        assert_eq!(layout.version_for(&[]), Version::V2);
        assert_eq!(layout.hierarchies[0].own, Path::new("/sys/fs/cgroup/cpu,cpuacct/a"));
        assert_eq!(layout.hierarchies[1].own, Path::new("/sys/fs/cgroup/unified/b"));
    }

    #[test]
    fn a_pure_host_has_one_hierarchy() {
        let mounts = [mount("/", "/sys/fs/cgroup", "cgroup2", "rw,nsdelegate")];
        let layout = Layout::parse(&mounts, "0::/user.slice/x.scope\n");
        assert_eq!(layout.version_for(&[Controller::Pids]), Version::V2);
        assert_eq!(layout.hierarchies[0].own, Path::new("/sys/fs/cgroup/user.slice/x.scope"));
    }

    #[test]
    fn within_a_container_the_path_is_below_the_mounts_root() {
        let mounts = [mount("/docker/1", "/sys/fs/cgroup/memory", "cgroup", "rw,memory")];
        let layout = Layout::parse(&mounts, "4:memory:/docker/1/x\n");
        assert_eq!(layout.hierarchies[0].own, Path::new("/sys/fs/cgroup/memory/x"));
    }

    #[test]
    fn a_path_out_of_the_view_is_not_followed() {
        let mounts = [mount("/", "/sys/fs/cgroup", "cgroup2", "rw")];
        let layout = Layout::parse(&mounts, "0::/../../etc\n");
        assert_eq!(layout.hierarchies[0].own, Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn a_controller_that_is_not_mounted_is_named() {
        let error = Layout::default().parents(&[Controller::Cpu], Version::V1).unwrap_err();
        assert!(error.to_string().contains("\"cpu\""), "{error}");
    }

    proptest! {
        #[test]
        fn no_membership_leads_out_of_the_mount(own in "[0-9]:(memory)?:[/.a-z]{0,20}") {
            let mounts = [mount("/", "/sys/fs/cgroup/memory", "cgroup", "rw,memory")];
            let layout = Layout::parse(&mounts, &own);
            prop_assert!(layout.hierarchies[0].own.starts_with("/sys/fs/cgroup/memory"));
        }
    }
}
