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
    Error,
    around::Around,
    copy_up::CopyUp,
    error,
    lookup::{self, Links},
    mount::{Mount, Options},
    mount_calls::{attach, copy_of_hosts, fresh, set_attributes_of_one},
    plan::{Slot, SyscallPlan},
    propagations::Propagations,
    remount, spec,
};

/// A mount that is attached nowhere yet.
#[derive(Debug)]
pub(crate) struct Detached<'a> {
    mount: &'a Mount,
    options: Options,
    /// All ones if this host refuses the mount and the container can do without it.
    slot: Slot,
    may_lack: bool,
    is_directory: bool,
    /// What a new tmpfs begins with.
    content: CopyUp,
}

impl<'a> Detached<'a> {
    /// The steps that make the mount of that number, attached nowhere; the host's files are still
    /// reachable.
    pub(crate) fn new(
        plan: &mut SyscallPlan,
        (number, mount): (usize, &'a Mount),
        inside: &spec::Inside,
        around: Around<'_>,
    ) -> Result<Self, Error> {
        let Mount { destination, kind, options, .. } = mount;
        let path = destination.display();
        let words = format!("fsmount {kind} for {path} ({})", options.join(","));
        plan.together(words, |plan| Self::prepare(plan, (number, mount), inside, around))
    }

    fn prepare(
        plan: &mut SyscallPlan,
        (number, mount): (usize, &'a Mount),
        inside: &spec::Inside,
        around: Around<'_>,
    ) -> Result<Self, Error> {
        let options = Options::of(mount);
        let content = CopyUp::default();
        if mount.is_remount() {
            let slot = plan.slot();
            let (may_lack, is_directory) = (false, true);
            return Ok(Self { mount, options, slot, may_lack, is_directory, content });
        }
        // A new one would show the same processes, and may not be mounted in a user namespace.
        let is_hosts_proc = mount.kind == "proc" && !around.pid_namespace;
        if mount.is_bind() || is_hosts_proc {
            return Self::bind(plan, (number, mount), options, (is_hosts_proc, around));
        }
        let content = match options.copies_up {
            true => CopyUp::of(inside, number, around.owners)?,
            false => content,
        };
        // In a user namespace only the owner of the network namespace may mount sysfs: then /sys
        // stays empty. The message queues belong to the ipc namespace, which may be the host's, and
        // some kernels lack them.
        let may_lack = (around.user_namespace && mount.kind == "sysfs") || mount.kind == "mqueue";
        let may_lack = may_lack && !around.exact;
        let (mut attributes, late) = (options.of_new(), options.is_read_only_late(mount));
        if late {
            attributes &= !libc::MOUNT_ATTR_RDONLY;
        }
        let mut data = options.data();
        if around.user_namespace && mount.kind == "devpts" && !around.exact {
            // The group tty may not be mapped in a user namespace.
            data.retain(|(key, _)| key != "gid");
        }
        let source = mount.source.to_string_lossy();
        let slot = fresh(plan, &mount.kind, &source, (attributes, &data), may_lack)?;
        Ok(Self { mount, options, slot, may_lack, is_directory: true, content })
    }

    fn bind(
        plan: &mut SyscallPlan,
        (number, mount): (usize, &'a Mount),
        options: Options,
        (is_hosts_proc, around): (bool, Around<'_>),
    ) -> Result<Self, Error> {
        let source = if is_hosts_proc { Path::new("/proc") } else { &mount.source };
        let source = source.canonicalize().map_err(error::file("find", source))?;
        let slot = match around.id_mapped(plan, &source) {
            Some(slot) => slot,
            None => {
                let recursive = options.recursive || is_hosts_proc;
                let slot = match around.of_mount(plan, number) {
                    Some(slot) => slot,
                    None => copy_of_hosts(plan, &source, recursive)?,
                };
                around.set_attributes(plan, mount, &options, slot);
                slot
            }
        };
        let (may_lack, is_directory) = (false, source.is_dir());
        Ok(Self { mount, options, slot, may_lack, is_directory, content: CopyUp::default() })
    }

    /// The steps that attach it below `root`, and check its path afterwards.
    pub(crate) fn attach(&self, plan: &mut SyscallPlan, root: Slot) -> Result<(), Error> {
        if self.mount.is_remount() {
            return remount::remount(plan, root, self.mount, &self.options);
        }
        let words = format!("move_mount onto {}", self.mount.destination.display());
        plan.together(words, |plan| self.attach_and_look(plan, root))
    }

    /// The step that remains when nothing more is made in it.
    pub(crate) fn complete(&self, plan: &mut SyscallPlan, propagations: &mut Propagations) {
        let path = self.mount.destination.display();
        if !self.mount.is_remount() && self.options.is_read_only_late(self.mount) {
            let words = format!("mount_setattr {path} read-only");
            set_attributes_of_one(plan, words, self.slot, libc::MOUNT_ATTR_RDONLY);
        }
        for propagation in &self.options.propagation {
            propagations.add(path.to_string(), self.slot, *propagation);
        }
    }

    fn attach_and_look(&self, plan: &mut SyscallPlan, root: Slot) -> Result<(), Error> {
        let path = &self.mount.destination;
        // No link may lead to the root itself.
        let links = lookup::links_to(path);
        let target = match self.is_directory {
            true => lookup::directory(plan, root, path, links)?,
            false => lookup::file(plan, root, path, links)?,
        };
        if links == Links::WithinRoot {
            let words = format!("{} is not the root itself", path.display());
            lookup::different_place(plan, words, target, root);
        }
        self.content.fill(plan, target, self.slot)?;
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
