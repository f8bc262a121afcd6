//! What the steps of question 3 need to know about the rest of the container.

use std::path::Path;

use crate::{
    child_descriptors,
    copy_up::Owners,
    hosts::{Files, NO_FILES},
    mount::{Attributes, Mount, Options, Peers},
    mount_calls::{Change, change},
    plan::{Slot, SyscallPlan},
    privileges,
    spec::{
        Spec,
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
    /// The same for single mounts, by their numbers; those descriptors come after the others.
    pub(crate) of_mounts: &'a [usize],
    /// Whose the copies of the root's files are.
    pub(crate) owners: Owners<'a>,
    /// Whether attributes are exactly as they are given.
    pub(crate) exact: bool,
    /// Whether mounts made inside may show up on the host. An OCI runtime lets them do so only where
    /// the root is shared: the mount of an engine that says `rshared` gets the host's all the same.
    pub(crate) shares: bool,
    /// The container's own files of `/etc`.
    pub(crate) files: &'a Files,
}

impl<'a> Around<'a> {
    pub(crate) fn of(namespaces: &Namespaces, spec: &'a Spec) -> Self {
        let user_namespace =
            namespaces.user != Namespace::Shared || privileges::in_user_namespace();
        let pid_namespace = namespaces.pid != Namespace::Shared;
        let no_new_privileges = spec.power.no_new_privileges;
        let (id_mapped, of_mounts, files) = (&[][..], &[][..], &NO_FILES);
        let exact = spec.inside.exact_attributes;
        let owners = match (&namespaces.user, &spec.power.id_maps) {
            (Namespace::Shared, _) => Owners::Same,
            (Namespace::New, Some(maps)) => Owners::Mapped(maps),
            _ => Owners::Root,
        };
        Self {
            user_namespace,
            pid_namespace,
            no_new_privileges,
            id_mapped,
            of_mounts,
            owners,
            exact,
            shares: !exact || spec.inside.propagation.is_some_and(|it| it.with == Peers::Shared),
            files,
        }
    }

    /// The ID-mapped mount that the launcher has made for `path`, attached nowhere.
    pub(crate) fn id_mapped(self, plan: &mut SyscallPlan, path: &Path) -> Option<Slot> {
        let index = self.id_mapped.iter().position(|made| *made == path)?;
        Some(plan.descriptor(child_descriptors::MOUNTS + index))
    }

    /// The same for the mount of that number.
    pub(crate) fn of_mount(self, plan: &mut SyscallPlan, number: usize) -> Option<Slot> {
        let index = self.of_mounts.iter().position(|made| *made == number)?;
        Some(plan.descriptor(child_descriptors::MOUNTS + self.id_mapped.len() + index))
    }

    /// The attributes of a volume, and of what is mounted below it, unless they are exactly as given.
    /// Device nodes in it do not work unless it has the option `dev`, like those of the root.
    pub(crate) fn attributes_of_volume(self, mount: &Mount, options: &Options) -> Attributes {
        let shows_devices = mount.options.iter().any(|option| option == "dev");
        let no_devices = if shows_devices { 0 } else { libc::MOUNT_ATTR_NODEV };
        let more = no_devices | self.no_set_user_id() | options.below.set;
        options.attributes.only_setting(more)
    }

    /// `MOUNT_ATTR_*` of the root.
    pub(crate) fn attributes_of_root(self) -> u64 {
        if self.exact { 0 } else { libc::MOUNT_ATTR_NODEV | self.no_set_user_id() }
    }

    /// The steps that give the copy of a volume its attributes. One that exchanges mounts with the
    /// host stays in the group of what it is a copy of.
    pub(crate) fn set_attributes(
        self,
        plan: &mut SyscallPlan,
        mount: &Mount,
        options: &Options,
        copy: Slot,
    ) {
        let words = |more| format!("mount_setattr of {}{more}", mount.destination.display());
        let propagation = match (mount.reaches_the_host(), self.shares) {
            (false, _) => libc::MS_PRIVATE,
            (true, false) => libc::MS_SLAVE,
            (true, true) => 0,
        };
        let attributes = match self.exact {
            true => options.below,
            false => self.attributes_of_volume(mount, options),
        };
        let recursive = Change { attributes, propagation, recursive: true };
        if attributes != Attributes::NONE || propagation != 0 {
            change(plan, words(" and all below"), copy, recursive);
        }
        if self.exact && options.attributes != Attributes::NONE {
            let attributes = options.attributes;
            change(plan, words(""), copy, Change { attributes, ..Change::default() });
        }
    }

    /// `MOUNT_ATTR_NOSUID` (MS_NOSUID) if set-user-ID bits and file capabilities have no effect
    /// anyway. Without it, a file with a capability outside the bounding set cannot be executed at
    /// all (EPERM, capabilities(7)); with it, the file runs without capabilities.
    pub(crate) fn no_set_user_id(self) -> u64 {
        if self.no_new_privileges { libc::MOUNT_ATTR_NOSUID } else { 0 }
    }
}
