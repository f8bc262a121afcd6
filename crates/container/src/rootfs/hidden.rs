//! Parts of the root that are hidden or read-only: those of /proc and /sys that reveal or change the
//! host, and whatever else is given.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error,
    around::Around,
    lookup::{self, Links},
    mount_calls,
    plan::{Slot, SyscallPlan},
    spec,
};

/// The steps that hide them. The paths are looked up within `root`, in which everything is mounted.
pub(super) fn hide(
    plan: &mut SyscallPlan,
    root: Slot,
    inside: &spec::Inside,
    around: Around<'_>,
) -> Result<(), Error> {
    let words = format!("mask the paths that reveal the host: {}", list(&inside.masked_paths));
    plan.together(words, |plan| {
        lookup::open(plan, root, Path::new(NULL), Links::Refused)?;
        let null = plan.result();
        // Without /dev/null no file can be masked; perhaps none has to be.
        plan.forgive(&[Errno::ENOENT]);
        if around.exact {
            // It may be a file of the root's own.
            plan.unless_failed(&[Errno::ENOENT], |plan| {
                let words = "/dev/null is the null device".to_owned();
                lookup::same_node(plan, words, null, (libc::S_IFCHR, 1, 3));
            });
        }
        let masks = Masks { null, empty: plan.slot() };
        inside.masked_paths.iter().try_for_each(|path| mask(plan, root, path, masks))
    })?;
    let words =
        format!("make read-only the paths that change the host: {}", list(&inside.read_only_paths));
    plan.together(words, |plan| {
        inside.read_only_paths.iter().try_for_each(|path| make_read_only(plan, root, path, around))
    })
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Missing paths need no mask.
const MISSING: &[Errno] = &[Errno::ENOENT, Errno::ENOTDIR];

/// Mounted over a file, which then reads as empty.
const NULL: &str = "/dev/null";

/// What is mounted over the paths.
#[derive(Debug, Clone, Copy)]
struct Masks {
    /// `/dev/null`, over files.
    null: Slot,
    /// An empty file system, over directories; made for the first one. Each file system would cost the
    /// start as much as a mount, and the end as much again.
    empty: Slot,
}

/// Masks a file with `/dev/null`, and a directory with an empty file system.
fn mask(plan: &mut SyscallPlan, root: Slot, path: &Path, masks: Masks) -> Result<(), Error> {
    lookup::open(plan, root, path, links_at(path))?;
    let target = plan.result();
    plan.unless_failed(MISSING, |plan| {
        below_the_root(plan, root, path, target);
        // Only a directory can be mounted over a directory. What it is is asked first: a copy of
        // /dev/null that cannot be attached costs an RCU grace period when it is closed.
        lookup::is_directory(plan, path, target)?;
        let cover_it = |plan: &mut SyscallPlan| cover(plan, path, masks.empty, target);
        plan.unless_failed(&[Errno::ENOTDIR, Errno::EACCES], cover_it)?;
        // Unless that has been done.
        plan.if_failed(&[], |plan| {
            let file = mount_calls::copy(plan, Path::new(NULL), masks.null, false);
            mount_calls::attach(plan, path, file, target);
            // One that may not be entered.
            plan.if_failed(&[Errno::EINVAL, Errno::ENOTDIR], cover_it)
        })
    })
}

/// Mounts the empty file system over a directory, by its last step.
fn cover(plan: &mut SyscallPlan, path: &Path, empty: Slot, target: Slot) -> Result<(), Error> {
    let copied = mount_calls::copy(plan, Path::new("the empty file system"), empty, false);
    // The first time there is none.
    plan.if_failed(&[Errno::EBADF], |plan| {
        let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        mount_calls::fresh(plan, "tmpfs", "tmpfs", (attributes, &[]), false)?;
        plan.result_into(empty);
        let arguments = [empty.operand(), libc::F_DUPFD_CLOEXEC as usize, 0];
        plan.step(Inside, "fcntl F_DUPFD_CLOEXEC", libc::SYS_fcntl, arguments);
        plan.result_into(copied);
        Ok::<_, Error>(())
    })?;
    mount_calls::attach(plan, path, copied, target);
    Ok(())
}

/// Mounts a read-only copy of `path` over itself.
fn make_read_only(
    plan: &mut SyscallPlan,
    root: Slot,
    path: &Path,
    around: Around<'_>,
) -> Result<(), Error> {
    lookup::open(plan, root, path, links_at(path))?;
    let target = plan.result();
    plan.unless_failed(MISSING, |plan| {
        below_the_root(plan, root, path, target);
        let copy = mount_calls::copy(plan, path, target, true);
        let others = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
        let attributes = libc::MOUNT_ATTR_RDONLY | if around.exact { 0 } else { others };
        let words = format!("mount_setattr {} read-only", path.display());
        mount_calls::set_attributes(plan, words, copy, attributes);
        mount_calls::attach(plan, path, copy, target);
        Ok(())
    })
}

/// Adds a check: no symbolic link has led to the root itself, on which nothing may be mounted.
fn below_the_root(plan: &mut SyscallPlan, root: Slot, path: &Path, target: Slot) {
    if links_at(path) == Links::Refused {
        return;
    }
    let words = format!("{} is not the root itself", path.display());
    lookup::different_place(plan, words, target, root);
}

/// In `/proc` and `/sys` no symbolic link leads to a masked path; in a root one may.
fn links_at(path: &Path) -> Links {
    match path.starts_with("/proc") || path.starts_with("/sys") {
        true => Links::Refused,
        false => Links::WithinRoot,
    }
}
