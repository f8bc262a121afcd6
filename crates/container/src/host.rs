//! What this host has for containers, for `isolab doctor` and for skipping tests with a reason.

use std::{fs, path::PathBuf};

use nix::unistd::Uid;

use crate::{
    cgroup_layout::{Controller, Layout, Version},
    error::NAME,
};

/// Which versions of the cgroup interface the host has mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupLayout {
    /// None.
    None,
    /// A hierarchy for each controller.
    V1,
    /// One for all.
    V2,
    /// Both: the controllers in version 1, processes also in a hierarchy of version 2.
    Hybrid,
}

/// One controller that a limit may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerFacts {
    /// `cpu`, `memory` or `pids`.
    pub name: &'static str,
    /// Below this directory a container's cgroup would be made.
    pub parent: Option<PathBuf>,
    /// Why none can be made.
    pub problem: Option<String>,
}

/// What this host has for containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The cgroup interface.
    pub cgroup_layout: CgroupLayout,
    /// The controllers for the limits.
    pub controllers: Vec<ControllerFacts>,
    /// Whether the caller is root.
    pub root: bool,
    /// `user.max_user_namespaces`.
    pub max_user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`, where there is one: false forbids.
    pub unprivileged_userns_clone: Option<bool>,
    /// AppArmor's `kernel.apparmor_restrict_unprivileged_userns`: true restricts.
    pub apparmor_restricts_userns: Option<bool>,
    /// Whether overlayfs is there or can be loaded.
    pub overlay: bool,
    /// Whether seccomp filters are there.
    pub seccomp: bool,
}

/// Looks at the host.
pub fn host() -> HostFacts {
    let flag = |path: &str| number(path).map(|number| number != 0);
    let layout = Layout::of_this_process().cloned().unwrap_or_default();
    let has = |version| {
        layout.hierarchies.iter().any(|hierarchy| {
            hierarchy.version == version
                && !(version == Version::V1 && hierarchy.controllers.is_empty())
        })
    };
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    HostFacts {
        cgroup_layout: match (has(Version::V1), has(Version::V2)) {
            (false, false) => CgroupLayout::None,
            (true, false) => CgroupLayout::V1,
            (false, true) => CgroupLayout::V2,
            (true, true) => CgroupLayout::Hybrid,
        },
        controllers: Controller::ALL.map(|controller| facts_of(&layout, controller)).into(),
        root: Uid::effective().is_root(),
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        unprivileged_userns_clone: flag("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts_userns: flag("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        overlay: filesystems
            .lines()
            .any(|line| line.trim_start_matches("nodev").trim() == "overlay")
            || module_exists("overlay"),
        seccomp: fs::metadata("/proc/sys/kernel/seccomp").is_ok(),
    }
}

fn facts_of(layout: &Layout, controller: Controller) -> ControllerFacts {
    let name = controller.name();
    match layout.parents(&[controller], layout.version_for(&[controller])) {
        Ok(parents) => {
            let parent = parents.into_iter().next().map(|(path, _)| path);
            ControllerFacts { name, parent, problem: None }
        }
        Err(error) => ControllerFacts { name, parent: None, problem: Some(error.to_string()) },
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn module_exists(name: &str) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let list = format!("/lib/modules/{}/modules.dep", release.trim());
    fs::read_to_string(list).is_ok_and(|list| list.contains(&format!("/{name}.ko")))
}

/// Why no container can run here, with the way out.
#[derive(Debug, thiserror::Error)]
enum Lack {
    #[error(
        "user namespaces are switched off (user.max_user_namespaces = 0), and you are not root"
    )]
    NoUserNamespaces,
    #[error(
        "this kernel lets only root make user namespaces (kernel.unprivileged_userns_clone = 0)"
    )]
    OnlyRoot,
    #[error(
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1)"
    )]
    AppArmor,
    #[error("this kernel has no seccomp filters")]
    NoSeccomp,
}

/// Whether a container can run here at all.
///
/// # Errors
///
/// [`sandbox::Error::Unavailable`] with what is lacking and how to mend it.
pub fn available() -> sandbox::Result<()> {
    let facts = host();
    let lack = match facts {
        HostFacts { seccomp: false, .. } => {
            (Lack::NoSeccomp, "use a kernel with CONFIG_SECCOMP_FILTER, as all distributions have")
        }
        HostFacts { root: true, .. } => return Ok(()),
        HostFacts { max_user_namespaces: None | Some(0), .. } => {
            (Lack::NoUserNamespaces, "run as root, or: sudo sysctl user.max_user_namespaces=10000")
        }
        HostFacts { unprivileged_userns_clone: Some(false), .. } => {
            (Lack::OnlyRoot, "run as root, or: sudo sysctl kernel.unprivileged_userns_clone=1")
        }
        HostFacts { apparmor_restricts_userns: Some(true), .. } => (
            Lack::AppArmor,
            "run as root, or: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        _ => return Ok(()),
    };
    let (source, fix) = lack;
    Err(sandbox::Error::Unavailable { sandbox: NAME, source: source.into(), fix: fix.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_has_a_place_or_a_reason() {
        for controller in host().controllers {
            assert_ne!(controller.parent.is_some(), controller.problem.is_some(), "{controller:?}");
        }
    }
}
