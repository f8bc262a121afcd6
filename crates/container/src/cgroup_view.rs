//! The container's own cgroup at `/sys/fs/cgroup`: programs that size themselves by their limits (a
//! JVM, Rust's `available_parallelism`) read them there.
//!
//! ```text
//!   version 2                            version 1
//!   /sys/fs/cgroup  its own directory    /sys/fs/cgroup          an empty file system in memory
//!     memory.max                           memory/               its own directory
//!     cpu.max                                memory.limit_in_bytes
//!                                          cpu,cpuacct/          its own directory
//!                                          cpu -> cpu,cpuacct
//! ```
//!
//! Each is a read-only copy of a mount of the host, rooted at the container's own directory
//! (`open_tree(2)`). A new mount of the hierarchy would show the same in a cgroup namespace, but
//! everything without one. On version 1 each hierarchy costs every start a mount, so they are shown
//! only if there is a limit on memory or CPU time.

use sandbox::Question::Inside;

use crate::{
    Error,
    cgroup_layout::{OwnDirectory, Version},
    lookup::{self, Links},
    mount::{Mount, Options},
    mount_calls,
    plan::{Slot, SyscallPlan},
    spec,
};

/// What is shown, attached nowhere yet.
pub(crate) struct CgroupView<'a> {
    shown: Option<(&'a Mount, Kind)>,
    directories: Vec<(&'a OwnDirectory, Slot)>,
}

/// What is mounted at `/sys/fs/cgroup` itself.
enum Kind {
    /// The one directory of version 2.
    Unified,
    /// A file system with a directory for each hierarchy.
    Folder(Slot),
}

impl<'a> CgroupView<'a> {
    /// The steps that open the host's directories.
    pub(crate) fn new(
        plan: &mut SyscallPlan,
        inside: &'a spec::Inside,
        own: &'a [OwnDirectory],
    ) -> Result<Self, Error> {
        let none = Self { shown: None, directories: Vec::new() };
        let mount = inside.mounts.iter().find(|mount| mount.is_own_cgroup());
        let (Some(mount), Some(first)) = (mount, own.first()) else { return Ok(none) };
        let attributes = Options::of(mount).of_new();
        plan.together("open_tree copies of its own cgroup".into(), |plan| {
            let copy = |plan: &mut SyscallPlan, directory: &'a OwnDirectory| {
                let slot = mount_calls::copy_of_hosts(plan, &directory.path, false)?;
                Ok::<_, Error>((directory, slot))
            };
            if first.version == Version::V2 {
                let (directory, slot) = copy(plan, first)?;
                let words = format!("mount_setattr of {}", directory.path.display());
                mount_calls::set_attributes_of_one(plan, words, slot, attributes);
                let directories = vec![(directory, slot)];
                return Ok(Self { shown: Some((mount, Kind::Unified)), directories });
            }
            let data = [("mode".to_owned(), Some("755".to_owned()))];
            let attributes = attributes & !libc::MOUNT_ATTR_RDONLY;
            let folder = mount_calls::fresh(plan, "tmpfs", "cgroup", (attributes, &data), false)?;
            let directories = own.iter().map(|directory| copy(plan, directory));
            let directories = directories.collect::<Result<Vec<_>, Error>>()?;
            Ok(Self { shown: Some((mount, Kind::Folder(folder))), directories })
        })
    }

    /// The steps that attach them, if this is the mount that shows them.
    pub(crate) fn attach(
        &self,
        plan: &mut SyscallPlan,
        root: Slot,
        mount: &Mount,
    ) -> Result<(), Error> {
        let Some((shown, kind)) = &self.shown else { return Ok(()) };
        if *shown != mount {
            return Ok(());
        }
        let path = &mount.destination;
        let words = format!("move_mount its own cgroup onto {}", path.display());
        plan.together(words, |plan| {
            let target = lookup::directory(plan, root, path, Links::Refused)?;
            match kind {
                Kind::Unified => {
                    for (_, slot) in &self.directories {
                        mount_calls::attach(plan, path, *slot, target);
                    }
                    Ok(())
                }
                Kind::Folder(folder) => {
                    mount_calls::attach(plan, path, *folder, target);
                    self.fill(plan, *folder)?;
                    // Of all of them at once, when the directories in it have been made.
                    let words = format!("mount_setattr {} and what is in it", path.display());
                    let attributes = Options::of(mount).of_new();
                    mount_calls::set_attributes(plan, words, *folder, attributes);
                    Ok(())
                }
            }
        })
    }

    fn fill(&self, plan: &mut SyscallPlan, folder: Slot) -> Result<(), Error> {
        for (directory, slot) in &self.directories {
            let name = std::path::Path::new(&directory.name);
            // The file system is new: it is not there yet.
            lookup::make_directory(plan, folder, name, 0o755)?;
            lookup::open(plan, folder, name, Links::Refused)?;
            let place = plan.result();
            mount_calls::attach(plan, name, *slot, place);
            for link in directory.links.iter().filter(|link| directory.name != ***link) {
                let arguments = [plan.text(name)?, folder.operand(), plan.text(link)?];
                let words = format!("symlinkat {link} -> {}", name.display());
                plan.step(Inside, words, libc::SYS_symlinkat, arguments);
            }
        }
        Ok(())
    }
}
