//! Overlays: a root that can be written to without changing what lies below it.
//!
//! overlayfs shows `upper` where it has a file, else the uppermost of the `lowers` that has it. The
//! first write to a file of a lower layer copies it up; deleting one leaves a mark in `upper`.
//! The throw-away upper layer is a tmpfs that nobody but the child's mounts refers to, so the
//! kernel frees it with them and there is nothing to delete.
//!
//! An overlay over `/` shows one file system, not what is mounted on it. Where the host has a
//! separate `/usr`, `/var` or `/home`, it gets an overlay of its own on top; `/proc`, `/sys`,
//! `/dev`, `/run`, `/tmp` and `/mnt` do not, they are made afresh or stay as the root has them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error, error,
    mounts::Mount,
    plan::Plan,
    rootfs::{STAGE, Surroundings, Upper, change_directory, make_directory, mount},
};

const FLAGS: u64 = libc::MS_NODEV | libc::MS_NOSUID;

/// File systems that hold files, not views of the kernel or other machines' files.
const WITH_FILES: [&str; 11] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "overlay", "erofs", "squashfs",
];
/// Made afresh, or of no use inside.
const NOT_CARRIED_OVER: [&str; 8] =
    ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/media", "/boot"];

/// A throw-away overlay over the host's own root.
pub(crate) fn host(plan: &mut Plan, mounts: &[Mount]) -> Result<(), Error> {
    stage(plan)?;
    throw_away(plan, "0", &[PathBuf::from("/")], Path::new("root"), false)?;
    for (number, point) in separate(mounts).iter().enumerate() {
        let target = Path::new("root").join(point.strip_prefix("/").unwrap_or(point));
        if point.is_dir() {
            let name = (number + 1).to_string();
            throw_away(plan, &name, &[point.to_path_buf()], &target, false)?;
            // Its type may not serve as a layer: then the root's empty directory is seen.
            plan.forgive(&[Errno::EINVAL, Errno::ENOENT]);
        } else {
            mount(plan, point, &target, "", libc::MS_BIND, "")?;
            plan.forgive(&[Errno::ENOENT]);
        }
    }
    change_directory(plan, Path::new("root"))
}

/// The same in a user namespace, where `/` with its locked mounts is refused as a layer: a tmpfs
/// with an overlay, or a read-only bind, for each folder.
pub(crate) fn host_by_folders(plan: &mut Plan, mounts: &[Mount]) -> Result<(), Error> {
    stage(plan)?;
    mount(plan, "tmpfs", Path::new("root"), "tmpfs", FLAGS, "mode=755")?;
    let listing = fs::read_dir("/").map_err(error::file("list", "/"))?;
    let mut folders: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    for (number, folder) in folders.iter().enumerate() {
        let Ok(name) = folder.strip_prefix("/") else { continue };
        let inside = Path::new("root").join(name);
        if let Ok(target) = fs::read_link(folder) {
            let operands = [plan.text(&target)?, plan.text(&inside)?];
            let words = format!("symlink {} -> {}", folder.display(), target.display());
            plan.step(Inside, words, libc::SYS_symlink, operands);
            continue;
        }
        let fresh = NOT_CARRIED_OVER.iter().any(|made| Path::new(made) == folder);
        if fresh || !folder.is_dir() {
            continue;
        }
        make_directory(plan, &inside.display().to_string(), 0o755)?;
        if mounts.iter().any(|mount| mount.point.starts_with(folder)) {
            mount(plan, folder, &inside, "", libc::MS_BIND | libc::MS_REC, "")?;
            read_only(plan, &inside)?;
        } else {
            throw_away(plan, &number.to_string(), std::slice::from_ref(folder), &inside, true)?;
        }
    }
    plan.step(Inside, "umask 0", libc::SYS_umask, [0]);
    for (name, mode) in [("root/tmp", 0o1777), ("root/run", 0o755)] {
        make_directory(plan, name, mode)?;
    }
    change_directory(plan, Path::new("root"))
}

/// The overlay that was asked for.
pub(crate) fn layers(
    plan: &mut Plan,
    lowers: &[PathBuf],
    upper: &Upper,
    around: Surroundings<'_>,
) -> Result<(), Error> {
    let absolute = |path: &PathBuf| path.canonicalize().map_err(error::file("find", path));
    let lowers = lowers.iter().map(absolute).collect::<Result<Vec<PathBuf>, Error>>()?;
    let kept = match upper {
        Upper::Kept(kept) => Some(absolute(kept)?),
        Upper::ThrowAway => None,
    };
    // What is mounted on a directory covers all below it, so none of the layers may lie there.
    let covers = |stage: &Path| lowers.iter().chain(&kept).any(|layer| layer.starts_with(stage));
    let stages = ["/tmp", "/mnt", "/run", "/var", "/opt", "/srv", "/media", "/home", "/boot"];
    let stage = stages.into_iter().map(Path::new).find(|stage| stage.is_dir() && !covers(stage));
    let stage = stage.ok_or(Error::NoStage)?;
    if lowers.is_empty() {
        return Err(Error::NoLowers);
    }
    let user = around.user_namespace;
    match kept {
        Some(kept) => {
            overlay(plan, &lowers, &kept.join("upper"), &kept.join("work"), stage, user)?;
            change_directory(plan, stage)
        }
        None => {
            mount(plan, "tmpfs", stage, "tmpfs", FLAGS, "mode=755")?;
            change_directory(plan, stage)?;
            make_directory(plan, "root", 0o755)?;
            throw_away(plan, "0", &lowers, Path::new("root"), user)?;
            change_directory(plan, Path::new("root"))
        }
    }
}

/// A tmpfs for upper layers, with the directory `root`; the child's working directory.
fn stage(plan: &mut Plan) -> Result<(), Error> {
    mount(plan, "tmpfs", Path::new(STAGE), "tmpfs", FLAGS, "mode=755")?;
    change_directory(plan, Path::new(STAGE))?;
    make_directory(plan, "root", 0o755)
}

/// An overlay with an upper layer on the stage, in the directory `name`.
fn throw_away(
    plan: &mut Plan,
    name: &str,
    lowers: &[PathBuf],
    target: &Path,
    user_namespace: bool,
) -> Result<(), Error> {
    make_directory(plan, name, 0o755)?;
    let (upper, work) = (format!("{name}/upper"), format!("{name}/work"));
    make_directory(plan, &upper, 0o755)?;
    make_directory(plan, &work, 0o755)?;
    overlay(plan, lowers, Path::new(&upper), Path::new(&work), target, user_namespace)
}

fn overlay(
    plan: &mut Plan,
    lowers: &[PathBuf],
    upper: &Path,
    work: &Path,
    target: &Path,
    user_namespace: bool,
) -> Result<(), Error> {
    let mut options = String::from("lowerdir=");
    for (index, lower) in lowers.iter().enumerate() {
        options.push_str(if index == 0 { "" } else { ":" });
        options.push_str(expressible(lower)?);
    }
    options.push_str(&format!(",upperdir={}", expressible(upper)?));
    options.push_str(&format!(",workdir={}", expressible(work)?));
    if user_namespace {
        // Its marks are attributes, of which a user namespace may write only user ones.
        options.push_str(",userxattr");
    }
    mount(plan, "overlay", target, "overlay", FLAGS, &options)
}

/// A path that means in the options of an overlay what it says.
fn expressible(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().filter(|text| !text.contains([',', ':', '\\']));
    text.ok_or_else(|| Error::OverlayPath { path: path.to_owned() })
}

/// `mount_setattr(2)`: a mount and all below it, read-only.
fn read_only(plan: &mut Plan, target: &Path) -> Result<(), Error> {
    let attributes =
        [libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID, 0, 0, 0].map(u64::to_ne_bytes);
    let size = size_of_val(&attributes);
    let operand = plan.keep(attributes.concat());
    let path = plan.text(target)?;
    let words = format!("mount {} read-only", target.display());
    let arguments = [libc::AT_FDCWD as usize, path, libc::AT_RECURSIVE as usize, operand, size];
    plan.step(Inside, words, libc::SYS_mount_setattr, arguments);
    Ok(())
}

/// The mounts of the host that the overlay over `/` does not show and that a user would miss.
fn separate(mounts: &[Mount]) -> Vec<&Path> {
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

    fn mount(point: &str, kind: &str) -> Mount {
        let (options, super_options) = (String::from("rw"), String::from("rw"));
        let (root, propagation) = ("/".into(), String::new());
        Mount { root, point: point.into(), options, propagation, kind: kind.into(), super_options }
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

    #[test]
    fn a_path_that_would_add_an_option_is_refused() {
        for path in ["/a,upperdir=/etc", "/a:/b", "/a\\b"] {
            assert!(expressible(Path::new(path)).is_err(), "{path}");
        }
    }
}
