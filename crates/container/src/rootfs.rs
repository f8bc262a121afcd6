//! Question 3: what does it find inside? The container's answer: a root file system of its own.
//! The microVM's answer is `microvm::loader`.
//!
//! ```text
//!   1. make all mounts private          nothing mounted here shows up outside
//!   2. prepare its mounts               proc, dev, sys and volumes, attached nowhere yet
//!   3. build the new root               tmpfs, directory or overlay
//!   4. pivot_root(".", ".")             the new root is /, the old one lies above it
//!   5. umount2(".", MNT_DETACH)         until nothing is left above: then there is no path out
//!   6. attach the mounts inside         by descriptors, whatever links the new root has
//!   7. mask, and make read-only         the parts of /proc and /sys that reveal or change the host
//! ```
//!
//! `chroot(2)` would leave the old root mounted, and a process with an open directory outside could
//! walk out; after step 5 there is nothing left outside. A root file system is hostile: step 6
//! comes after step 5, so that a symbolic link in the new root cannot lead out of it.

mod hidden;

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error,
    around::Around,
    cgroup_layout::OwnDirectory,
    cgroup_view::CgroupView,
    detached::Detached,
    device, error, host_root,
    hosts::NO_FILES,
    lookup::{self, Links},
    mount::{Attributes, Mount, Peers, Propagation},
    mount_calls::{self, Change},
    overlay,
    plan::{Slot, SyscallPlan},
    propagations::Propagations,
    spec,
};

pub use crate::spec::{
    device_nodes::Device,
    root::{Root, Upper},
};

/// What the launcher has determined for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Launcher<'a> {
    /// The slave of its pseudo-terminal, and the device number.
    pub(crate) terminal: Option<(&'a Path, u64)>,
    pub(crate) own_cgroup: &'a [OwnDirectory],
    /// The working directory, which is made if it is missing.
    pub(crate) directory: &'a Path,
}

/// The child's steps that enter its own root. How the mounts propagate is left to be set when
/// everything is mounted.
pub(crate) fn enter(
    plan: &mut SyscallPlan,
    inside: &spec::Inside,
    around: Around<'_>,
    launcher: Launcher<'_>,
) -> Result<Propagations, Error> {
    let Launcher { terminal, own_cgroup, directory } = launcher;
    let exchanges = exchanges_mounts(inside);
    if !exchanges {
        make_all_private(plan)?;
    }
    // Before the root is built, on a directory of the host that may contain one of the sources.
    let mounts = inside.mounts.iter().enumerate().filter(|(_, mount)| !mount.is_own_cgroup());
    let mounts = mounts.map(|mount| Detached::new(plan, mount, inside, around));
    let mounts = mounts.collect::<Result<Vec<_>, Error>>()?;
    let copied = match &inside.root {
        Root::Directory(path) if exchanges => Some(copy_root(plan, path, inside, around)?),
        _ => None,
    };
    if exchanges {
        make_all_private(plan)?;
    }
    // In an overlay that the user asked for, the files would end up in the user's directory.
    let (root, points) = match are_in_the_layer(inside, around) {
        true => build(plan, inside, around, copied)?,
        false => build(plan, inside, Around { files: &NO_FILES, ..around }, copied)?,
    };
    let parts = if inside.read_only { open_all(plan, root, &points)? } else { Vec::new() };
    let cgroup = CgroupView::new(plan, inside, own_cgroup)?;
    let devices = device::Nodes::new(plan, &inside.devices, terminal, around)?;
    leave_the_old_root(plan, root)?;
    let mut detached = mounts.iter();
    for mount in &inside.mounts {
        match mount.is_own_cgroup() {
            true => cgroup.attach(plan, root, mount)?,
            false => detached.next().map_or(Ok(()), |next| next.attach(plan, root))?,
        }
    }
    devices.attach(plan, root)?;
    if !are_in_the_layer(inside, around) {
        plan.together("mount its own hosts, hostname and resolv.conf in /etc".into(), |plan| {
            around.files.mount(plan, root, inside)
        })?;
    }
    hidden::hide(plan, root, inside, around)?;
    make_directory(plan, root, directory)?;
    let mut propagations = Propagations::default();
    if let Some(propagation) = inside.propagation {
        propagations.add("/".into(), root, propagation);
    }
    for mount in &mounts {
        mount.complete(plan, &mut propagations);
    }
    if inside.read_only {
        let words = "mount_setattr / read-only".to_owned();
        let attributes = Attributes { set: libc::MOUNT_ATTR_RDONLY, clear: 0 };
        mount_calls::change(plan, words, root, Change { attributes, ..Change::default() });
        for part in parts {
            let words = "mount_setattr / read-only: a part of it".to_owned();
            mount_calls::set_attributes_of_one(plan, words, part, libc::MOUNT_ATTR_RDONLY);
            // Where a mount could not be made there is only a directory of the root, or nothing.
            plan.forgive(&[Errno::EINVAL, Errno::EBADF]);
        }
    }
    Ok(propagations)
}

/// Missing parts of the working directory are made, owned by root, as other runtimes do; symbolic
/// links are resolved within the root.
fn make_directory(plan: &mut SyscallPlan, root: Slot, directory: &Path) -> Result<(), Error> {
    if directory == Path::new("/") {
        return Ok(());
    }
    lookup::open(plan, root, directory, Links::WithinRoot)?;
    plan.if_failed(&[Errno::ENOENT], |plan| {
        let directory = lookup::without_steps_up(directory);
        lookup::directory(plan, root, &directory, Links::WithinRoot).map(drop)
    })
}

/// Opens the other mounts that the root consists of, before anything is mounted on them.
fn open_all(plan: &mut SyscallPlan, root: Slot, points: &[PathBuf]) -> Result<Vec<Slot>, Error> {
    let open = |point: &PathBuf| {
        lookup::open(plan, root, point, Links::Refused)?;
        plan.forgive(&[Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP, Errno::EACCES]);
        Ok(plan.result())
    };
    points.iter().map(open).collect()
}

fn make_all_private(plan: &mut SyscallPlan) -> Result<(), Error> {
    let (root, flags) = (plan.text("/")?, libc::MS_REC | libc::MS_PRIVATE);
    plan.step(Inside, "make all mounts private", libc::SYS_mount, [0, root, 0, flags as usize, 0]);
    Ok(())
}

/// Makes the mount that becomes the new root, and returns with it the mount points of the root's
/// other parts. Device nodes in it do not work: they come with the image, not from the host.
fn build(
    plan: &mut SyscallPlan,
    inside: &spec::Inside,
    around: Around<'_>,
    copied: Option<CopiedRoot>,
) -> Result<(Slot, Vec<PathBuf>), Error> {
    let size = inside.upper_bytes;
    let alone = |root: Slot| (root, Vec::new());
    match &inside.root {
        Root::Empty => overlay::stage(plan, "64k").map(alone),
        Root::Host if is_by_folders(around) => host_root::by_folders(plan, size, around),
        Root::Host => host_root::overlays(plan, size, around),
        Root::Directory(path) => {
            let copied = copied.map_or_else(|| copy_root(plan, path, inside, around), Ok)?;
            mount_calls::attach(plan, path, copied.root, copied.found);
            Ok(alone(copied.root))
        }
        Root::Overlay { lowers, upper } => {
            overlay::layers(plan, lowers, upper, size, around).map(alone)
        }
    }
}

/// Whether the container's own files of `/etc` are in the temporary layer.
fn are_in_the_layer(inside: &spec::Inside, around: Around<'_>) -> bool {
    inside.root == Root::Host && !is_by_folders(around)
}

/// Whether the host's root is rebuilt from its directories one by one.
fn is_by_folders(around: Around<'_>) -> bool {
    around.user_namespace && around.id_mapped.is_empty()
}

/// A root that is a directory of the host, and the copy of it that becomes the container's.
struct CopiedRoot {
    found: Slot,
    root: Slot,
}

/// A copy of the mount at `path`, to be attached on top of it: `pivot_root(2)` needs a mount.
fn copy_root(
    plan: &mut SyscallPlan,
    path: &Path,
    inside: &spec::Inside,
    around: Around<'_>,
) -> Result<CopiedRoot, Error> {
    let path = path.canonicalize().map_err(error::file("find", path))?;
    let option = if around.exact { "" } else { " -o nodev" };
    let words = format!("mount --bind{option} {0} {0}", path.display());
    plan.together(words, |plan| {
        lookup::open_of_host(plan, &path)?;
        let found = plan.result();
        let root = around.id_mapped(plan, &path).unwrap_or_else(|| {
            let root = mount_calls::copy(plan, &path, found, true);
            let words = format!("mount_setattr of {}", path.display());
            let attributes = Attributes { set: around.attributes_of_root(), clear: 0 };
            // A root that others share begins as a private one: what is mounted in it for the container
            // belongs to no other.
            let propagation = match inside.propagation {
                Some(Propagation { with: Peers::Slave, .. }) => libc::MS_SLAVE,
                _ => libc::MS_PRIVATE,
            };
            let change = Change { attributes, propagation, recursive: true };
            mount_calls::change(plan, words, root, change);
            root
        });
        Ok(CopiedRoot { found, root })
    })
}

/// Whether something that the host mounts later can show up inside: such mounts are copied before the
/// container's own are made private.
fn exchanges_mounts(inside: &spec::Inside) -> bool {
    inside.propagation.is_some_and(Propagation::reaches_the_host)
        || inside.mounts.iter().any(Mount::reaches_the_host)
}

/// Makes the mount `root` this process's root, and unmounts all of the old one, including
/// everything that the host has mounted on top of its own `/`.
fn leave_the_old_root(plan: &mut SyscallPlan, root: Slot) -> Result<(), Error> {
    let here = plan.text(".")?;
    let old = plan.together("pivot_root . .".into(), |plan| {
        lookup::open_of_host(plan, Path::new("/"))?;
        let old = plan.result();
        enter_directory(plan, root);
        plan.step(Inside, "pivot_root . .", libc::SYS_pivot_root, [here, here]);
        Ok::<_, Error>(old)
    })?;
    // `.` of the old root is the topmost mount on it; the last one to be unmounted is the old root
    // itself, and after that umount2 fails with EINVAL.
    plan.together("umount2 the old root".into(), |plan| {
        enter_directory(plan, old);
        let detach = libc::MNT_DETACH as usize;
        plan.step(Inside, "umount2 the old root", libc::SYS_umount2, [here, detach]);
        plan.repeat_until(&[Errno::EINVAL]);
        enter_directory(plan, root);
    });
    lookup::nothing_above(plan, root);
    Ok(())
}

fn enter_directory(plan: &mut SyscallPlan, directory: Slot) {
    plan.step(Inside, "fchdir", libc::SYS_fchdir, [directory.operand()]);
}
