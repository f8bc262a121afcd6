//! One mount of a container: prepared while the host's files are reachable, attached when they no
//! longer are.
//!
//! A mount is made as a descriptor first, attached nowhere (`fsopen(2)` and `fsmount(2)` for a new
//! file system, `open_tree(2)` for a part of the host's). Only after the old root has been detached
//! is it attached inside, by another descriptor: at that moment no path leads out, whatever
//! symbolic links the root file system contains.

use std::path::Path;

use nix::errno::Errno;

use crate::{
    Error, child_descriptors, error,
    hosts::{Files, NO_FILES},
    lookup::{self, Links},
    mount::{Mount, Options},
    mount_calls::{attach, copy_of_hosts, fresh, set_attributes},
    plan::{Slot, SyscallPlan},
    privileges,
    spec::{
        self,
        namespaces::{Namespace, Namespaces},
    },
};

/// What the steps need to know about the container's namespaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    /// In a user namespace some mounts are refused, and others must be made differently.
    pub(crate) user_namespace: bool,
    pub(crate) pid_namespace: bool,
    /// Whether `no_new_privs` is set.
    pub(crate) no_new_privileges: bool,
    /// The paths of the host for which the launcher has made ID-mapped mounts: the child has them
    /// as descriptors from [`child_descriptors::MOUNTS`] on.
    pub(crate) id_mapped: &'a [&'a Path],
    /// The container's own files of `/etc`.
    pub(crate) files: &'a Files,
}

impl Around<'_> {
    pub(crate) fn of(namespaces: &Namespaces, power: &spec::Power) -> Self {
        let user_namespace =
            namespaces.user != Namespace::Shared || privileges::in_user_namespace();
        let pid_namespace = namespaces.pid != Namespace::Shared;
        let no_new_privileges = power.no_new_privileges;
        let (id_mapped, files) = (&[][..], &NO_FILES);
        Self { user_namespace, pid_namespace, no_new_privileges, id_mapped, files }
    }

    /// The ID-mapped mount that the launcher has made for `path`, attached nowhere.
    pub(crate) fn id_mapped(self, plan: &mut SyscallPlan, path: &Path) -> Option<Slot> {
        let index = self.id_mapped.iter().position(|made| *made == path)?;
        Some(plan.descriptor(child_descriptors::MOUNTS + index))
    }

    /// `MOUNT_ATTR_*` of a volume. Device nodes in it do not work unless it has the option `dev`,
    /// like those of the root.
    pub(crate) fn attributes_of_volume(self, mount: &Mount, options: &Options) -> u64 {
        let shows_devices = mount.options.iter().any(|option| option == "dev");
        let no_devices = if shows_devices { 0 } else { libc::MOUNT_ATTR_NODEV };
        options.attributes | no_devices | self.no_set_user_id()
    }

    /// `MOUNT_ATTR_NOSUID` (MS_NOSUID) if set-user-ID bits and file capabilities have no effect
    /// anyway. Without it, a file with a capability outside the bounding set cannot be executed at
    /// all (EPERM, capabilities(7)); with it, the file runs without capabilities.
    pub(crate) fn no_set_user_id(self) -> u64 {
        if self.no_new_privileges { libc::MOUNT_ATTR_NOSUID } else { 0 }
    }
}

/// A mount that is attached nowhere yet.
#[derive(Debug)]
pub(crate) struct Detached<'a> {
    mount: &'a Mount,
    /// All ones if this host refuses the mount and the container can do without it.
    slot: Slot,
    may_lack: bool,
    is_directory: bool,
}

impl<'a> Detached<'a> {
    /// The steps that make `mount`, attached nowhere; the host's files are still reachable.
    pub(crate) fn new(
        plan: &mut SyscallPlan,
        mount: &'a Mount,
        around: Around<'_>,
    ) -> Result<Self, Error> {
        let Mount { destination, kind, options, .. } = mount;
        let path = destination.display();
        let words = format!("fsmount {kind} for {path} ({})", options.join(","));
        plan.together(words, |plan| Self::prepare(plan, mount, around))
    }

    fn prepare(
        plan: &mut SyscallPlan,
        mount: &'a Mount,
        around: Around<'_>,
    ) -> Result<Self, Error> {
        let options = Options::of(mount);
        // A new one would show the same processes, and may not be mounted in a user namespace.
        let is_hosts_proc = mount.kind == "proc" && !around.pid_namespace;
        if mount.is_bind() || is_hosts_proc {
            return Self::bind(plan, mount, &options, (is_hosts_proc, around));
        }
        // In a user namespace only the owner of the network namespace may mount sysfs: then /sys
        // stays empty. The message queues belong to the ipc namespace, which may be the host's, and
        // some kernels lack them.
        let may_lack = (around.user_namespace && mount.kind == "sysfs") || mount.kind == "mqueue";
        let mut data = options.data;
        if around.user_namespace && mount.kind == "devpts" {
            // The group tty may not be mapped in a user namespace.
            data.retain(|(key, _)| key != "gid");
        }
        let source = mount.source.to_string_lossy();
        let slot = fresh(plan, &mount.kind, &source, (options.attributes, &data), may_lack)?;
        Ok(Self { mount, slot, may_lack, is_directory: true })
    }

    fn bind(
        plan: &mut SyscallPlan,
        mount: &'a Mount,
        options: &Options,
        (is_hosts_proc, around): (bool, Around<'_>),
    ) -> Result<Self, Error> {
        let source = if is_hosts_proc { Path::new("/proc") } else { &mount.source };
        let source = source.canonicalize().map_err(error::file("find", source))?;
        let slot = match around.id_mapped(plan, &source) {
            Some(slot) => slot,
            None => {
                let recursive = options.recursive || is_hosts_proc;
                let slot = copy_of_hosts(plan, &source, recursive)?;
                let words = format!("mount_setattr of {}", mount.destination.display());
                let attributes = around.attributes_of_volume(mount, options);
                set_attributes(plan, words, slot, attributes);
                slot
            }
        };
        Ok(Self { mount, slot, may_lack: false, is_directory: source.is_dir() })
    }

    /// The steps that attach it below `root`, and check its path afterwards.
    pub(crate) fn attach(&self, plan: &mut SyscallPlan, root: Slot) -> Result<(), Error> {
        let words = format!("move_mount onto {}", self.mount.destination.display());
        plan.together(words, |plan| self.attach_and_look(plan, root))
    }

    fn attach_and_look(&self, plan: &mut SyscallPlan, root: Slot) -> Result<(), Error> {
        let path = &self.mount.destination;
        // `/proc`, `/sys` and `/dev` must be exactly there; a volume may be behind a symbolic link,
        // such as /var/run, but never at the root itself.
        let links = if is_systems_own(path) { Links::Refused } else { Links::WithinRoot };
        let target = match self.is_directory {
            true => lookup::directory(plan, root, path, links)?,
            false => lookup::file(plan, root, path, links)?,
        };
        if links == Links::WithinRoot {
            let words = format!("{} is not the root itself", path.display());
            lookup::different_place(plan, words, target, root);
        }
        attach(plan, path, self.slot, target);
        if self.may_lack {
            plan.forgive(&[Errno::EBADF]);
        }
        let check = |plan: &mut SyscallPlan| {
            let words = format!("the mount at {} is the one that was made", path.display());
            lookup::stands_at(plan, words, path, self.slot)?;
            match self.mount.kind.as_str() {
                "proc" => is_of_type(plan, path, self.slot, libc::PROC_SUPER_MAGIC),
                "sysfs" => is_of_type(plan, path, self.slot, SYSFS_MAGIC),
                _ => {}
            }
            Ok(())
        };
        match self.may_lack {
            true => plan.unless_failed(&[Errno::EBADF], check),
            false => check(plan),
        }
    }
}

/// Of linux/magic.h.
const SYSFS_MAGIC: i64 = 0x6265_6572;

/// Adds a check: it is that file system of the kernel.
fn is_of_type(plan: &mut SyscallPlan, path: &Path, mount: Slot, magic: i64) {
    let words = format!("the file system at {} is the kernel's own", path.display());
    lookup::same_type(plan, words, mount, magic);
}

/// Whether a path is in `/proc`, `/sys` or `/dev`.
fn is_systems_own(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|own| path.starts_with(own))
}
