//! Overlays: a root that can be written to without changing what lies below it.
//!
//! overlayfs shows `upper` where it has a file, else the uppermost of the `lowers` that has it. The
//! first write to a file of a lower layer copies it up; deleting one leaves a mark in `upper`.
//! The throw-away upper layer is a tmpfs that nobody but the child's mounts refers to, so the
//! kernel frees it with them and there is nothing to delete.
//!
//! overlayfs takes its layers as paths. Each is opened first, without following a link, and named by
//! its descriptor: what is mounted is what was opened, whatever its path leads to meanwhile, and no
//! character of a path means anything in the options.
//!
//! An overlay over `/` shows one file system, not what is mounted on it. Where the host has a
//! separate `/usr`, `/var` or `/home`, it gets an overlay of its own on top; `/proc`, `/sys`,
//! `/dev`, `/run`, `/tmp` and `/mnt` do not, they are made afresh or stay as the root has them. A
//! single file of the host's on which another is mounted is shown read-only.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error,
    detached::{self, Around},
    error,
    lookup::{self, Links},
    mounts::MountInfo,
    plan::{Plan, Slot},
    rootfs::Upper,
};

/// A directory that every Linux system has, to mount on: the mount is seen by the child only.
const STAGE: &str = "/tmp";

/// File systems that hold files, not views of the kernel or other machines' files.
const WITH_FILES: [&str; 11] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "overlay", "erofs", "squashfs",
];
/// Made afresh, or of no use inside.
const NOT_CARRIED_OVER: [&str; 8] =
    ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/media", "/boot"];

/// A tmpfs of that size that is mounted where only the child sees it. Files of overlays lie on it.
pub(crate) fn stage(plan: &mut Plan, size: &str) -> Result<Slot, Error> {
    plan.together(format!("mount tmpfs for what is written (size={size})"), |plan| {
        let stage = tmpfs(plan, size)?;
        lookup::open_of_host(plan, Path::new(STAGE))?;
        let target = plan.result();
        detached::attach(plan, Path::new(STAGE), stage, target);
        Ok(stage)
    })
}

fn tmpfs(plan: &mut Plan, size: &str) -> Result<Slot, Error> {
    let option = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let data = [option("mode", "755"), option("size", size)];
    detached::fresh(plan, "tmpfs", "tmpfs", (attributes, &data), false)
}

/// How much goes into what is thrown away: so many bytes, or a quarter of the host's memory.
fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "25%".to_owned(), |bytes| bytes.to_string())
}

/// A throw-away overlay over the host's own root.
pub(crate) fn host(
    plan: &mut Plan,
    mounts: &[MountInfo],
    bytes: Option<u64>,
) -> Result<Slot, Error> {
    let stage = stage(plan, &size(bytes))?;
    let root = root_on(plan, stage)?;
    lookup::open_of_host(plan, Path::new("/"))?;
    let lower = plan.result();
    throw_away(plan, stage, "0", &[(Path::new("/"), lower)], root, false)?;
    let root = uppermost(plan, stage)?;
    for (number, point) in separate(mounts).iter().enumerate() {
        // One that has gone meanwhile, or that a link has taken the place of, is left out.
        const GONE: &[Errno] = &[Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP];
        lookup::open_of_host(plan, point)?;
        let found = plan.result();
        plan.unless_failed(GONE, |plan| {
            lookup::open(plan, root, point, Links::Refused)?;
            let target = plan.result();
            plan.unless_failed(GONE, |plan| {
                if point.is_dir() {
                    let name = (number + 1).to_string();
                    throw_away(plan, stage, &name, &[(*point, found)], target, false)?;
                    // Its type may not serve as a layer: then the root's empty directory is seen.
                    plan.forgive(&[Errno::EINVAL]);
                    Ok(())
                } else {
                    show_read_only(plan, point, found, target, false)
                }
            })
        })?;
    }
    Ok(root)
}

/// The same in a user namespace, where `/` with its locked mounts is refused as a layer: a tmpfs
/// with an overlay, or a read-only bind, for each folder.
pub(crate) fn host_by_folders(
    plan: &mut Plan,
    mounts: &[MountInfo],
    bytes: Option<u64>,
) -> Result<Slot, Error> {
    let stage = stage(plan, &size(bytes))?;
    let target = root_on(plan, stage)?;
    let root = tmpfs(plan, &size(bytes))?;
    detached::attach(plan, Path::new("/"), root, target);
    let listing = fs::read_dir("/").map_err(error::file("list", "/"))?;
    let mut folders: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    for (number, folder) in folders.iter().enumerate() {
        let Ok(name) = folder.strip_prefix("/") else { continue };
        if let Ok(target) = fs::read_link(folder) {
            let operands = [plan.text(&target)?, root.operand(), plan.text(name)?];
            let words = format!("symlinkat {} -> {}", folder.display(), target.display());
            plan.step(Inside, words, libc::SYS_symlinkat, operands);
            continue;
        }
        let fresh = NOT_CARRIED_OVER.iter().any(|made| Path::new(made) == folder);
        if fresh || !folder.is_dir() {
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
            throw_away(plan, stage, &number.to_string(), &layer, inside, true)?;
        }
    }
    plan.step(Inside, "umask 0", libc::SYS_umask, [0]);
    for (name, mode) in [("tmp", 0o1777), ("run", 0o755)] {
        lookup::make_directory(plan, root, Path::new(name), mode)?;
    }
    plan.step(Inside, "umask 022", libc::SYS_umask, [0o022]);
    Ok(root)
}

/// The overlay that was asked for.
pub(crate) fn layers(
    plan: &mut Plan,
    lowers: &[PathBuf],
    upper: &Upper,
    bytes: Option<u64>,
    around: Around,
) -> Result<Slot, Error> {
    // Opened before the stage covers one of them.
    let lowers = lowers.iter().map(|lower| {
        let path = lower.canonicalize().map_err(error::file("find", lower))?;
        lookup::open_of_host(plan, &path)?;
        Ok((lower.as_path(), plan.result()))
    });
    let lowers = lowers.collect::<Result<Vec<(&Path, Slot)>, Error>>()?;
    let kept = match upper {
        Upper::Kept(kept) => Some(kept_layer(plan, kept)?),
        Upper::ThrowAway => None,
    };
    let stage = stage(plan, &size(bytes))?;
    let target = root_on(plan, stage)?;
    let user = around.user_namespace;
    match kept {
        Some(kept) => overlay(plan, &lowers, kept, target, user)?,
        None => throw_away(plan, stage, "0", &lowers, target, user)?,
    }
    uppermost(plan, stage)
}

/// `upper` and `work` in the directory `kept`, made where they are missing; neither may be a link.
fn kept_layer(plan: &mut Plan, kept: &Path) -> Result<[Slot; 2], Error> {
    let path = kept.canonicalize().map_err(error::file("find", kept))?;
    lookup::open_of_host(plan, &path)?;
    let kept = plan.result();
    let upper = lookup::directory(plan, kept, Path::new("/upper"), Links::Refused)?;
    let work = lookup::directory(plan, kept, Path::new("/work"), Links::Refused)?;
    Ok([upper, work])
}

/// The directory `root` on the stage.
fn root_on(plan: &mut Plan, stage: Slot) -> Result<Slot, Error> {
    lookup::make_directory(plan, stage, Path::new("root"), 0o755)?;
    uppermost(plan, stage)
}

/// What is mounted on it, if something is.
fn uppermost(plan: &mut Plan, stage: Slot) -> Result<Slot, Error> {
    lookup::open(plan, stage, Path::new("root"), Links::Refused)?;
    Ok(plan.result())
}

/// An overlay with an upper layer on the stage, in the directory `name`.
fn throw_away(
    plan: &mut Plan,
    stage: Slot,
    name: &str,
    lowers: &[(&Path, Slot)],
    target: Slot,
    user_namespace: bool,
) -> Result<(), Error> {
    let layer = Path::new("/").join(name);
    let paths: Vec<String> = lowers.iter().map(|(path, _)| path.display().to_string()).collect();
    plan.together(format!("mount overlay over {}", paths.join(":")), |plan| {
        lookup::make_directory(plan, stage, Path::new(name), 0o755)?;
        let mut slots = [stage; 2];
        for (slot, part) in slots.iter_mut().zip(["upper", "work"]) {
            *slot = lookup::directory(plan, stage, &layer.join(part), Links::Refused)?;
        }
        overlay(plan, lowers, slots, target, user_namespace)
    })
}

/// `mount(2)` of an overlay on the directory behind `target`.
fn overlay(
    plan: &mut Plan,
    lowers: &[(&Path, Slot)],
    [upper, work]: [Slot; 2],
    target: Slot,
    user_namespace: bool,
) -> Result<(), Error> {
    // In a user namespace its marks are attributes, of which only user ones may be written there.
    let marks = if user_namespace { ",userxattr" } else { "" };
    let lower = vec!["\0"; lowers.len()].join(":");
    let options = format!("lowerdir={lower},upperdir=\0,workdir=\0{marks}");
    let slots: Vec<Slot> = lowers.iter().map(|(_, slot)| *slot).chain([upper, work]).collect();
    let options = plan.text_with_descriptors(Inside, &options, &slots);
    let target = plan.text_with_descriptors(Inside, "\0", &[target]);
    let kind = plan.text("overlay")?;
    let flags = (libc::MS_NODEV | libc::MS_NOSUID) as usize;
    let paths: Vec<String> = lowers.iter().map(|(path, _)| path.display().to_string()).collect();
    let words = format!("mount overlay (lowerdir={}{marks})", paths.join(":"));
    plan.step(Inside, words, libc::SYS_mount, [kind, target, kind, flags, options]);
    Ok(())
}

/// Shows a part of the host's files, and what is mounted below it, that nothing is written to.
fn show_read_only(
    plan: &mut Plan,
    path: &Path,
    found: Slot,
    target: Slot,
    recursive: bool,
) -> Result<(), Error> {
    let copy = detached::copy(plan, path, found, recursive);
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let words = format!("mount_setattr {} read-only", path.display());
    detached::set_attributes(plan, words, copy, attributes);
    detached::attach(plan, path, copy, target);
    Ok(())
}

/// The mounts of the host that the overlay over `/` does not show and that a user would miss.
fn separate(mounts: &[MountInfo]) -> Vec<&Path> {
    let missed = mounts.iter().filter(|mount| {
        WITH_FILES.contains(&&*mount.kind)
            && mount.point != Path::new("/")
            && !NOT_CARRIED_OVER.iter().any(|made| mount.point.starts_with(made))
    });
    missed.map(|mount| &*mount.point).collect()
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
    fn only_separate_mounts_with_files_are_carried_over() {
        let mounts = [
            mount("/", "ext4"),
            mount("/usr", "ext4"),
            mount("/proc", "proc"),
            mount("/run/user/0", "tmpfs"),
            mount("/home", "nfs4"),
            mount("/etc/hosts", "ext4"),
        ];
        assert_eq!(separate(&mounts), [Path::new("/usr"), Path::new("/etc/hosts")]);
    }
}
