//! What this host provides for containers, for `isolab doctor` and for skipping tests with a
//! reason.

use std::{fs, path::PathBuf, sync::OnceLock, thread};

use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Uid, fork},
};

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
    /// Or the reason why none can be made.
    pub problem: Option<String>,
}

/// What this host provides for containers.
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
    /// Debian's `kernel.unprivileged_userns_clone`, if it exists: false forbids user namespaces.
    pub unprivileged_userns_clone: Option<bool>,
    /// AppArmor's `kernel.apparmor_restrict_unprivileged_userns`: true restricts user namespaces.
    pub apparmor_restricts_userns: Option<bool>,
    /// Whether overlayfs is available or can be loaded.
    pub overlay: bool,
    /// Whether seccomp filters are available.
    pub seccomp: bool,
}

/// Collects the facts.
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
            let parent = parents.into_iter().next().map(|parent| parent.path);
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

/// Why no container can run here, and how to fix it.
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
    #[error("root may not make namespaces here: unshare(2) says {0}")]
    RootRefused(Errno),
    #[error("unshare(2) refuses a user namespace, or power in it: {0}")]
    UserRefused(Errno),
}

/// Whether a container can run here at all.
///
/// # Errors
///
/// [`sandbox::Error::Unavailable`] with what is missing and how to fix it.
pub fn available() -> sandbox::Result<()> {
    let facts = host();
    let (source, fix) = match (facts, may_make_namespaces()) {
        (HostFacts { seccomp: false, .. }, _) => {
            (Lack::NoSeccomp, "use a kernel with CONFIG_SECCOMP_FILTER, as all distributions have")
        }
        (_, Ok(())) => return Ok(()),
        (facts, Err(errno)) => lack(&facts, errno),
    };
    Err(sandbox::Error::Unavailable { sandbox: NAME, source: source.into(), fix: fix.into() })
}

/// The cause of the kernel's refusal of namespaces, as far as the host's settings show it, and how
/// to fix it.
fn lack(facts: &HostFacts, errno: Errno) -> (Lack, &'static str) {
    match facts {
        HostFacts { root: true, .. } => (
            Lack::RootRefused(errno),
            "this is a container itself: start it with `--cap-add SYS_ADMIN` or `--privileged`",
        ),
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
        _ => (
            Lack::UserRefused(errno),
            "run as root: a security module, a seccomp filter, or the limit of an outer user \
             namespace forbids it to you",
        ),
    }
}

/// Tries whether this process may make namespaces. Settings alone do not tell: capabilities,
/// seccomp filters, security modules and the limits of outer namespaces matter too.
fn may_make_namespaces() -> Result<(), Errno> {
    static TRIED: OnceLock<Result<(), Errno>> = OnceLock::new();
    *TRIED.get_or_init(|| match Uid::effective().is_root() {
        // A single thread can unshare a namespace without affecting the others.
        true => thread::spawn(|| unshare(CloneFlags::CLONE_NEWUTS)).join().unwrap_or(Ok(())),
        false => may_make_user_namespaces(),
    })
}

/// Tries it in a child, because a user namespace is for a whole process. The child also tries to
/// use a privilege in it, which AppArmor may deny.
fn may_make_user_namespaces() -> Result<(), Errno> {
    // SAFETY: the child makes system calls only, and ends by one.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let tried = unshare(CloneFlags::CLONE_NEWUSER)
                .and_then(|()| unshare(CloneFlags::CLONE_NEWUTS))
                .map_or_else(|errno| errno as i32, |()| 0);
            // SAFETY: _exit takes a number, and runs nothing that other threads may have locked.
            unsafe { libc::_exit(tried) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, errno) => Err(Errno::from_raw(errno)),
            // A seccomp filter may kill the child instead of refusing.
            _ => Err(Errno::EPERM),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_what_the_host_says_of_it() {
        let open = HostFacts {
            cgroup_layout: CgroupLayout::V2,
            controllers: Vec::new(),
            root: false,
            max_user_namespaces: Some(9),
            unprivileged_userns_clone: None,
            apparmor_restricts_userns: None,
            overlay: true,
            seccomp: true,
        };
        let cases = [
            (HostFacts { root: true, ..open.clone() }, "root may not make namespaces", "--cap-add"),
            (
                HostFacts { max_user_namespaces: Some(0), ..open.clone() },
                "are switched off",
                "sysctl",
            ),
            (
                HostFacts { apparmor_restricts_userns: Some(true), ..open.clone() },
                "AppArmor restricts",
                "sysctl",
            ),
            (open, "or power in it: EPERM", "run as root"),
        ];
        for (facts, reason, way_out) in cases {
            let (lack, fix) = lack(&facts, Errno::EPERM);
            assert!(lack.to_string().contains(reason) && fix.contains(way_out), "{lack}: {fix}");
        }
    }

    #[test]
    fn a_controller_has_a_place_or_a_reason() {
        for controller in host().controllers {
            assert_ne!(controller.parent.is_some(), controller.problem.is_some(), "{controller:?}");
        }
    }
}
