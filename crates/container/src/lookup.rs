//! How a path in the container's root becomes a descriptor: by `openat2(2)`, which does not follow
//! links that lead out.
//!
//! A root file system is untrusted, and every name in it may be a symbolic link. The child looks up
//! each path once, within the root, and uses the descriptor from then on: what was checked is what
//! is used. Magic links of procfs (`/proc/self/fd/8`), which lead to open files of a process, are
//! never followed.

mod verify;

use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use sandbox::Question::{self, Inside, Power, WayOut};

use crate::{
    Error,
    plan::{Slot, SyscallPlan},
};

pub(crate) use verify::{
    different_place, nothing_above, same_device, same_node, same_type, stands_at,
};

/// How symbolic links in a path are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// ELOOP.
    Refused,
    /// Resolved within the root, as for a process that has this root.
    WithinRoot,
}

impl Links {
    fn resolve(self) -> u64 {
        let links = match self {
            Self::Refused => libc::RESOLVE_NO_SYMLINKS,
            Self::WithinRoot => 0,
        };
        libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS | links
    }
}

/// How links to a mount point are handled: `/proc`, `/sys` and `/dev` must be exactly there; a volume
/// may be behind a symbolic link, such as /var/run.
pub(crate) fn links_to(path: &Path) -> Links {
    let is_systems_own = ["/proc", "/sys", "/dev"].iter().any(|own| path.starts_with(own));
    if is_systems_own { Links::Refused } else { Links::WithinRoot }
}

/// `openat2(2)` with these flags.
fn openat2(
    plan: &mut SyscallPlan,
    question: Question,
    words: String,
    (directory, path): (usize, &Path),
    (flags, mode, resolve): (i32, u64, u64),
) -> Result<(), Error> {
    let flags = (flags | libc::O_CLOEXEC) as u64;
    let how = [flags, mode, resolve].map(u64::to_ne_bytes).concat();
    let size = how.len();
    let (path, how) = (plan.text(path)?, plan.keep(how));
    plan.step(question, words, libc::SYS_openat2, [directory, path, how, size]);
    Ok(())
}

/// Adds the step that opens `path` below `root`, only as a mount point (`O_PATH`).
pub(crate) fn open(
    plan: &mut SyscallPlan,
    root: Slot,
    path: &Path,
    links: Links,
) -> Result<(), Error> {
    let words = format!("openat2 {} within the root", path.display());
    openat2(plan, Inside, words, (root.operand(), path), (libc::O_PATH, 0, links.resolve()))
}

/// Adds the step that fails with ENOTDIR if `found` is not a directory.
pub(crate) fn is_directory(plan: &mut SyscallPlan, path: &Path, found: Slot) -> Result<(), Error> {
    let words = format!("openat2 {} as a directory", path.display());
    let how = (libc::O_PATH | libc::O_DIRECTORY, 0, Links::Refused.resolve());
    openat2(plan, Inside, words, (found.operand(), Path::new(".")), how)
}

/// Adds the step that opens a file below `root` for reading.
pub(crate) fn open_to_read(
    plan: &mut SyscallPlan,
    root: Slot,
    path: &Path,
    links: Links,
) -> Result<(), Error> {
    let words = format!("openat2 {} to read", path.display());
    // One that has become a FIFO meanwhile does not block.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    openat2(plan, Inside, words, (root.operand(), path), (flags, 0, links.resolve()))
}

/// Adds the step that opens a path of the host, in which the launcher has resolved all symbolic
/// links.
pub(crate) fn open_of_host(plan: &mut SyscallPlan, path: &Path) -> Result<(), Error> {
    without_links(plan, Inside, path, libc::O_PATH)
}

/// Adds the step that opens a file in the host's /proc/sys for writing.
pub(crate) fn open_of_host_to_write(plan: &mut SyscallPlan, path: &Path) -> Result<(), Error> {
    without_links(plan, Power, path, libc::O_WRONLY)
}

/// Adds the step that opens a file of the child's own directory in the host's /proc for writing.
pub(crate) fn open_own_proc_to_write(plan: &mut SyscallPlan, name: &Path) -> Result<(), Error> {
    let path = Path::new("/proc/self").join(name);
    let words = format!("openat2 {}", path.display());
    // `self` is a link.
    let how = (libc::O_WRONLY, 0, libc::RESOLVE_NO_MAGICLINKS);
    openat2(plan, Power, words, (libc::AT_FDCWD as usize, &path), how)
}

fn without_links(
    plan: &mut SyscallPlan,
    question: Question,
    path: &Path,
    flags: i32,
) -> Result<(), Error> {
    let words = format!("openat2 {}, without links", path.display());
    let resolve = libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    openat2(plan, question, words, (libc::AT_FDCWD as usize, path), (flags, 0, resolve))
}

/// Adds the step that opens a directory below the working directory, which is the root.
pub(crate) fn open_directory_here(plan: &mut SyscallPlan, path: &Path) -> Result<(), Error> {
    let words = format!("chdir {}: openat2 within the root", path.display());
    let how = (libc::O_PATH | libc::O_DIRECTORY, 0, Links::WithinRoot.resolve());
    openat2(plan, WayOut, words, (libc::AT_FDCWD as usize, path), how)
}

/// Adds the step that opens a new terminal in the devpts behind a descriptor.
pub(crate) fn open_terminal(plan: &mut SyscallPlan, pts: Slot) -> Result<(), Error> {
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
    let how = (libc::O_RDWR | libc::O_NOCTTY, 0, resolve);
    openat2(plan, WayOut, "open ptmx".into(), (pts.operand(), Path::new("ptmx")), how)
}

/// The directory `path` below `root`; missing parts are made.
pub(crate) fn directory(
    plan: &mut SyscallPlan,
    root: Slot,
    path: &Path,
    links: Links,
) -> Result<Slot, Error> {
    let Some(name) = path.file_name() else { return Ok(root) };
    let directory_only = libc::O_PATH | libc::O_DIRECTORY;
    let open = |plan: &mut SyscallPlan| {
        let words = format!("openat2 {} within the root", path.display());
        let how = (directory_only, 0, links.resolve());
        openat2(plan, Inside, words, (root.operand(), path), how)
    };
    let found = plan.slot();
    open(plan)?;
    plan.result_into(found);
    plan.if_failed(&[Errno::ENOENT], |plan| {
        let parent = directory(plan, root, &parent_of(path), links)?;
        make_directory(plan, parent, Path::new(name), 0o755)?;
        open(plan)?;
        plan.result_into(found);
        Ok(found)
    })
}

/// The file `path` below `root`, as a mount point; if it is missing, an empty one is made.
pub(crate) fn file(
    plan: &mut SyscallPlan,
    root: Slot,
    path: &Path,
    links: Links,
) -> Result<Slot, Error> {
    let found = plan.slot();
    open(plan, root, path, links)?;
    plan.result_into(found);
    plan.if_failed(&[Errno::ENOENT], |plan| {
        let parent = directory(plan, root, &parent_of(path), links)?;
        let name = path.file_name().unwrap_or_default();
        make_file(plan, parent, Path::new(name))?;
        plan.result_into(found);
        Ok(found)
    })
}

/// Resolves `.` and `..` in `path` by its text alone, for a path that does not exist yet.
pub fn without_steps_up(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => _ = clean.pop(),
            Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    clean
}

/// The parent directory, as an absolute path.
fn parent_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// `mkdirat(2)`, which does not follow a symbolic link at the last name. An existing directory is
/// fine, and required on a read-only root.
pub(crate) fn make_directory(
    plan: &mut SyscallPlan,
    parent: Slot,
    name: &Path,
    mode: usize,
) -> Result<(), Error> {
    let operand = plan.text(name)?;
    let words = format!("mkdirat {}", name.display());
    plan.step(Inside, words, libc::SYS_mkdirat, [parent.operand(), operand, mode]);
    plan.forgive(&[Errno::EEXIST, Errno::EROFS]);
    Ok(())
}

/// Adds the step that makes a new empty file of that name, and opens it.
pub(crate) fn make_file(plan: &mut SyscallPlan, parent: Slot, name: &Path) -> Result<(), Error> {
    // Not for writing: while a file is open for writing, its mount cannot be made read-only
    // (EBUSY).
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDONLY | libc::O_NOFOLLOW;
    let words = format!("create {}", name.display());
    let how = (flags, 0o644, Links::Refused.resolve());
    openat2(plan, Inside, words, (parent.operand(), name), how)
}

/// Adds the step that makes a new empty file of that name, and opens it for writing.
pub(crate) fn make_file_to_write(
    plan: &mut SyscallPlan,
    parent: Slot,
    name: &Path,
) -> Result<(), Error> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW;
    let words = format!("create {}", name.display());
    let how = (flags, 0o644, Links::Refused.resolve());
    openat2(plan, Inside, words, (parent.operand(), name), how)
}

/// Adds the step that opens an entry of a directory, without following it if it is a symbolic link.
pub(crate) fn open_itself(plan: &mut SyscallPlan, parent: Slot, name: &Path) -> Result<(), Error> {
    let words = format!("openat2 {} itself", name.display());
    let how = (libc::O_PATH | libc::O_NOFOLLOW, 0, Links::WithinRoot.resolve());
    openat2(plan, Inside, words, (parent.operand(), name), how)
}
