//! The host's own `/` as the root of a container: readable, and never changed.
//!
//! An overlay over `/` shows one file system, not those mounted on it. If the host has a separate
//! `/usr`, `/var` or `/home`, each gets an overlay of its own on top. What overlayfs rejects as a
//! layer, and single files with another file mounted on them, are shown read-only. `/proc`, `/sys`
//! and `/dev` are new mounts. Not shown, and listed by [`not_shown`], are
//!
//! - mounts below `/run`, `/tmp` and `/boot`, which belong to programs of the host, and below
//!   `/mnt` and `/media`, which are temporary: use `-v` for them;
//! - network file systems: a server that does not answer would delay every start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error,
    around::Around,
    error,
    lookup::{self, Links},
    mount_calls,
    mounts::{self, MountInfo},
    overlay::{attach_layer, root_on, size, stage, throw_away, tmpfs, uppermost},
    plan::{Slot, SyscallPlan},
};

/// File systems that hold files of this machine. overlayfs may refuse some of them.
const WITH_FILES: [&str; 29] = [
    "bcachefs", "btrfs", "cramfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs",
    "hfsplus", "iso9660", "jfs", "minix", "msdos", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs",
    "reiserfs", "romfs", "squashfs", "tmpfs", "udf", "ufs", "vfat", "xfs", "zfs",
];
/// File systems of the kernel itself, and those that are served by a program of the host.
const VIEWS: [&str; 24] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];
/// New mounts in the container.
const FRESH: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Rarely useful inside: each mount costs every start an overlay.
const NOT_CARRIED_OVER: [&str; 5] = ["/run", "/tmp", "/boot", "/mnt", "/media"];

/// How a mount of the host is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// With an overlay, or read-only if overlayfs rejects it.
    Overlay,
    ReadOnly,
    /// Not shown, and not worth mentioning.
    No,
    /// Not shown, but the user may expect it.
    Left,
}

fn shown(mount: &MountInfo) -> Shown {
    let is_below = |places: &[&str]| places.iter().any(|place| mount.point.starts_with(place));
    let kind = &*mount.kind;
    if mount.point == Path::new("/") || is_below(&FRESH) || VIEWS.contains(&kind) {
        Shown::No
    } else if is_below(&NOT_CARRIED_OVER) {
        Shown::Left
    } else if WITH_FILES.contains(&kind) {
        Shown::Overlay
    } else if kind.starts_with("fuse") {
        // A program serves it; as a layer it would be accessed at every start.
        Shown::ReadOnly
    } else {
        Shown::Left
    }
}

/// The mounts of the host that a container over its `/` does not show, with their types.
///
/// # Errors
///
/// When the list of mounts cannot be read.
pub fn not_shown() -> Result<Vec<(PathBuf, String)>, Error> {
    let mounts = mounts::all()?.into_iter().filter(|mount| shown(mount) == Shown::Left);
    Ok(mounts.map(|mount| (mount.point, mount.kind)).collect())
}

/// The mounts on the host's root that are shown.
pub(crate) fn carried_over() -> Result<Vec<PathBuf>, Error> {
    let is_carried = |it: &MountInfo| matches!(shown(it), Shown::Overlay | Shown::ReadOnly);
    let mounts = mounts::all()?.into_iter().filter(is_carried);
    Ok(mounts.map(|mount| mount.point).collect())
}

/// Errors after which a mount is skipped: it is gone, replaced by a symbolic link, below one that
/// root may not enter, or its server has gone.
const GONE: &[Errno] = &[
    Errno::ENOENT,
    Errno::ENOTDIR,
    Errno::ELOOP,
    Errno::EACCES,
    Errno::EPERM,
    Errno::ENOTCONN,
    Errno::ESTALE,
    Errno::EIO,
    Errno::ENXIO,
    Errno::ENODEV,
    Errno::ETIMEDOUT,
    Errno::EHOSTDOWN,
    Errno::ENAMETOOLONG,
];
/// The errors of overlayfs for a layer that it rejects.
const NO_LAYER: &[Errno] = &[
    Errno::EINVAL,
    Errno::EACCES,
    Errno::EPERM,
    Errno::EIO,
    Errno::ENOTCONN,
    Errno::ESTALE,
    Errno::ENOTDIR,
    Errno::EOPNOTSUPP,
    Errno::ELOOP,
    Errno::ENAMETOOLONG,
];

/// A temporary overlay over the host's own root. Returns the root and the mount points on it.
pub(crate) fn overlays(
    plan: &mut SyscallPlan,
    bytes: Option<u64>,
    around: Around<'_>,
) -> Result<(Slot, Vec<PathBuf>), Error> {
    let stage = stage(plan, &size(bytes))?;
    let root = root_on(plan, stage)?;
    let lower = layer(plan, Path::new("/"), stage, "0", around)?;
    throw_away(plan, stage, "0", &[(Path::new("/"), lower)], root, around)?;
    let root = uppermost(plan, stage)?;
    let mut points = Vec::new();
    for (number, mount) in mounts::all()?.iter().enumerate() {
        let (point, shown) = (&mount.point, shown(mount));
        // A file of the host is not shown if the container has its own one.
        if !matches!(shown, Shown::Overlay | Shown::ReadOnly) || around.files.has(point) {
            continue;
        }
        let name = (number + 1).to_string();
        let found = layer(plan, point, stage, &name, around)?;
        plan.unless_failed(GONE, |plan| {
            lookup::open(plan, root, point, Links::Refused)?;
            let target = plan.result();
            plan.unless_failed(GONE, |plan| {
                if shown == Shown::Overlay && point.is_dir() {
                    throw_away(plan, stage, &name, &[(point, found)], target, around)?;
                    plan.if_failed(NO_LAYER, |plan| {
                        show_read_only(plan, point, found, target, false)
                    })
                } else {
                    show_read_only(plan, point, found, target, false)
                }
            })
        })?;
        points.push(point.clone());
    }
    Ok((root, points))
}

/// Opens `point` of the host as a layer. The last step fails if it is gone.
fn layer(
    plan: &mut SyscallPlan,
    point: &Path,
    stage: Slot,
    name: &str,
    around: Around<'_>,
) -> Result<Slot, Error> {
    match around.id_mapped(plan, point) {
        Some(layer) => {
            attach_layer(plan, stage, &format!("layer-{name}"), layer)?;
            Ok(layer)
        }
        None => {
            lookup::open_of_host(plan, point)?;
            Ok(plan.result())
        }
    }
}

/// The same in a user namespace, where `/` with its locked mounts is rejected as a layer: a tmpfs
/// with an overlay, or a read-only bind mount, for each directory.
pub(crate) fn by_folders(
    plan: &mut SyscallPlan,
    bytes: Option<u64>,
    around: Around<'_>,
) -> Result<(Slot, Vec<PathBuf>), Error> {
    let mounts = mounts::all()?;
    let stage = stage(plan, &size(bytes))?;
    let target = root_on(plan, stage)?;
    let root = tmpfs(plan, &size(bytes))?;
    mount_calls::attach(plan, Path::new("/"), root, target);
    let listing = fs::read_dir("/").map_err(error::file("list", "/"))?;
    let mut folders: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let mut points = Vec::new();
    for (number, folder) in folders.iter().enumerate() {
        let Ok(name) = folder.strip_prefix("/") else { continue };
        if let Ok(target) = fs::read_link(folder) {
            let operands = [plan.text(&target)?, root.operand(), plan.text(name)?];
            let words = format!("symlinkat {} -> {}", folder.display(), target.display());
            plan.step(Inside, words, libc::SYS_symlinkat, operands);
            continue;
        }
        let is_left_out = FRESH.iter().chain(&NOT_CARRIED_OVER).any(|it| Path::new(it) == folder);
        if is_left_out || !folder.is_dir() {
            continue;
        }
        lookup::make_directory(plan, root, name, 0o755)?;
        lookup::open(plan, root, name, Links::Refused)?;
        let inside = plan.result();
        lookup::open_of_host(plan, folder)?;
        let found = plan.result();
        if mounts.iter().any(|mount| mount.point.starts_with(folder)) {
            show_read_only(plan, folder, found, inside, true)?;
        } else {
            let layer = [(folder.as_path(), found)];
            throw_away(plan, stage, &number.to_string(), &layer, inside, around)?;
            points.push(folder.clone());
        }
    }
    plan.step(Inside, "umask 0", libc::SYS_umask, [0]);
    for (name, mode) in [("tmp", 0o1777), ("run", 0o755)] {
        lookup::make_directory(plan, root, Path::new(name), mode)?;
    }
    plan.step(Inside, "umask 022", libc::SYS_umask, [0o022]);
    Ok((root, points))
}

/// Shows a part of the host's files with all mounts below it, read-only.
fn show_read_only(
    plan: &mut SyscallPlan,
    path: &Path,
    found: Slot,
    target: Slot,
    recursive: bool,
) -> Result<(), Error> {
    plan.together(format!("mount {} read-only", path.display()), |plan| {
        let copy = mount_calls::copy(plan, path, found, recursive);
        let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        let words = format!("mount_setattr {} read-only", path.display());
        mount_calls::set_attributes(plan, words, copy, attributes);
        mount_calls::attach(plan, path, copy, target);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, kind: &str) -> MountInfo {
        let (options, super_options) = (String::from("rw"), String::from("rw"));
        let (root, propagation) = ("/".into(), String::new());
        MountInfo {
            root,
            point: point.into(),
            options,
            propagation,
            kind: kind.into(),
            super_options,
        }
    }

    #[test]
    fn a_mount_is_shown_by_what_it_holds_and_where_it_is() {
        for (point, kind, expected) in [
            ("/", "ext4", Shown::No),
            ("/usr", "ext4", Shown::Overlay),
            ("/etc/hosts", "ext4", Shown::Overlay),
            ("/srv/disk", "xfs", Shown::Overlay),
            ("/srv/stick", "vfat", Shown::Overlay),
            ("/srv/ram", "ramfs", Shown::Overlay),
            ("/home/me/there", "fuse.sshfs", Shown::ReadOnly),
            ("/srv/windows", "fuseblk", Shown::ReadOnly),
            ("/home", "nfs4", Shown::Left),
            ("/mnt/share", "cifs", Shown::Left),
            ("/run/user/0", "tmpfs", Shown::Left),
            ("/tmp", "tmpfs", Shown::Left),
            ("/mnt/disk", "xfs", Shown::Left),
            ("/media/stick", "vfat", Shown::Left),
            ("/runs", "tmpfs", Shown::Overlay),
            ("/proc", "proc", Shown::No),
            ("/srv/chroot/proc", "proc", Shown::No),
            ("/sys/fs/cgroup/memory", "cgroup", Shown::No),
            ("/dev/shm", "tmpfs", Shown::No),
            ("/var/lib/lxcfs", "fuse.lxcfs", Shown::No),
        ] {
            assert_eq!(shown(&mount(point, kind)), expected, "{point} {kind}");
        }
    }
}
