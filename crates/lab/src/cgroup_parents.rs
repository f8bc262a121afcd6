//! Where a lab's program may make cgroups.

use std::{io, path::PathBuf};

use container::cgroup::{CgroupParent, cgroup_parents};

/// The directory below which a cgroup with this controller is made, for each controller.
///
/// ```text
///   version 1   /sys/fs/cgroup/cpu/HERE   /sys/fs/cgroup/cpuacct/HERE   /sys/fs/cgroup/memory/HERE
///   version 2   /sys/fs/cgroup/HERE       the same                      the same
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupParents {
    /// 1 or 2.
    pub version: u8,
    /// For quota and weight.
    pub cpu: PathBuf,
    /// Where version 1 counts CPU time.
    pub cpuacct: PathBuf,
    /// For memory and swap.
    pub memory: PathBuf,
    /// For the number of processes.
    pub pids: PathBuf,
}

impl CgroupParents {
    /// From what the check told the program; a program that is started by hand finds its own.
    pub(crate) fn of(argument: impl Fn(&str) -> String) -> io::Result<Self> {
        let version = match argument("cgroup.version").parse() {
            Ok(version) => version,
            Err(_) => return Ok(Self::of_parents(&cgroup_parents().map_err(io::Error::other)?)),
        };
        let directory = |controller: &str| PathBuf::from(argument(&format!("cgroup.{controller}")));
        Ok(Self {
            version,
            cpu: directory("cpu"),
            cpuacct: directory("cpuacct"),
            memory: directory("memory"),
            pids: directory("pids"),
        })
    }

    pub(crate) fn of_parents(parents: &[CgroupParent]) -> Self {
        let with = |controller: &str| {
            let has = |parent: &&CgroupParent| parent.controllers.contains(&controller);
            parents.iter().find(has).map(|parent| parent.path.clone()).unwrap_or_default()
        };
        let version = parents.first().map_or(2, |parent| parent.version);
        // Version 2 counts CPU time wherever it limits it.
        let counts = if version == 1 { "cpuacct" } else { "cpu" };
        let (cpu, cpuacct) = (with("cpu"), with(counts));
        Self { version, cpu, cpuacct, memory: with("memory"), pids: with("pids") }
    }

    /// As arguments of the program: `cgroup.cpu=/sys/fs/cgroup/cpu/isolab-lab-1`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let directories = [
            ("cpu", &self.cpu),
            ("cpuacct", &self.cpuacct),
            ("memory", &self.memory),
            ("pids", &self.pids),
        ];
        let directories =
            directories.map(|(name, path)| format!("cgroup.{name}={}", path.display()));
        [format!("cgroup.version={}", self.version)].into_iter().chain(directories).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_survive_being_passed_as_arguments() {
        let parent = |path: &str, controllers: &[&'static str]| CgroupParent {
            version: 1,
            path: path.into(),
            controllers: controllers.to_vec(),
        };
        let parents = CgroupParents::of_parents(&[
            parent("/c/cpu", &["cpu"]),
            parent("/c/acct", &["cpuacct"]),
            parent("/c/memory", &["memory", "pids"]),
        ]);
        let words = parents.arguments();
        let argument = |name: &str| {
            let value = words.iter().find_map(|word| word.strip_prefix(&format!("{name}=")));
            value.unwrap_or_default().to_owned()
        };
        assert_eq!(CgroupParents::of(argument).unwrap(), parents);
        assert_eq!(parents.pids, PathBuf::from("/c/memory"));
    }
}
