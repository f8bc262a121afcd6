//! Overlays: a writable root whose changes do not affect its lower layers.
//!
//! overlayfs shows a file from `upper` if it is there, otherwise from the topmost of the `lowers`
//! that has it. The first write to a file of a lower layer copies it up; deleting a file leaves a
//! whiteout in `upper`. The temporary upper layer is a tmpfs that only the child's mounts refer to,
//! so the kernel frees it with them and there is nothing to delete.
//!
//! overlayfs takes its layers as paths. Each is opened first, without following symbolic links, and
//! given as a path to its descriptor: exactly what was opened is mounted, even if its path has
//! changed meanwhile, and special characters in the path cannot affect the options.
//!
//! The overlay over the host's own `/` is in `host_root`.

use std::path::{Path, PathBuf};

use sandbox::Question::Inside;

use crate::{
    Error,
    around::Around,
    error,
    lookup::{self, Links},
    mount_calls,
    plan::{Descriptors, Slot, SyscallPlan},
    spec::root::Upper,
};

/// A directory that every Linux system has, used as a mount point: only the child sees the mount.
const STAGE: &str = "/tmp";

/// With this many layers, short paths are used: all options must fit into one page, and the kernel
/// silently truncates the rest (mount(2)).
const MANY: usize = 64;

/// A tmpfs of that size, mounted where only the child sees it. The upper layers of overlays are on
/// it.
pub(crate) fn stage(plan: &mut SyscallPlan, size: &str) -> Result<Slot, Error> {
    plan.together(format!("mount a tmpfs for changes (size={size})"), |plan| {
        let stage = tmpfs(plan, size)?;
        lookup::open_of_host(plan, Path::new(STAGE))?;
        let target = plan.result();
        mount_calls::attach(plan, Path::new(STAGE), stage, target);
        Ok(stage)
    })
}

pub(crate) fn tmpfs(plan: &mut SyscallPlan, size: &str) -> Result<Slot, Error> {
    let option = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let data = [option("mode", "755"), option("size", size)];
    mount_calls::fresh(plan, "tmpfs", "tmpfs", (attributes, &data), false)
}

/// The size of a temporary upper layer: the given bytes, or a quarter of the host's memory.
pub(crate) fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "25%".to_owned(), |bytes| bytes.to_string())
}

/// An overlay of the given layers.
pub(crate) fn layers(
    plan: &mut SyscallPlan,
    lowers: &[PathBuf],
    upper: &Upper,
    bytes: Option<u64>,
    around: Around<'_>,
) -> Result<Slot, Error> {
    // Opened before the stage covers one of them.
    let open = |plan: &mut SyscallPlan, layer: &Path| {
        let path = layer.canonicalize().map_err(error::file("find", layer))?;
        if let Some(made) = around.id_mapped(plan, &path) {
            return Ok((made, true));
        }
        lookup::open_of_host(plan, &path)?;
        Ok::<_, Error>((plan.result(), false))
    };
    let layers = lowers.iter().map(|lower| open(plan, lower));
    let layers = layers.collect::<Result<Vec<(Slot, bool)>, Error>>()?;
    let kept = match upper {
        Upper::Kept(kept) => Some(open(plan, kept)?),
        Upper::ThrowAway => None,
    };
    let stage = stage(plan, &size(bytes))?;
    for (number, (layer, is_detached)) in layers.iter().chain(&kept).enumerate() {
        if *is_detached {
            attach_layer(plan, stage, &format!("layer-{number}"), *layer)?;
        }
    }
    let lowers = lowers.iter().map(PathBuf::as_path).zip(layers.into_iter().map(|(slot, _)| slot));
    let lowers: Vec<(&Path, Slot)> = lowers.collect();
    let kept = kept.map(|(kept, _)| kept_layer(plan, kept)).transpose()?;
    let target = root_on(plan, stage)?;
    match kept {
        Some(kept) => overlay(plan, &lowers, kept, target, around)?,
        None => throw_away(plan, stage, "0", &lowers, target, around)?,
    }
    uppermost(plan, stage)
}

/// Attaches a mount that the launcher has made to the stage: layers must be in the mount namespace.
pub(crate) fn attach_layer(
    plan: &mut SyscallPlan,
    stage: Slot,
    name: &str,
    layer: Slot,
) -> Result<(), Error> {
    let place = lookup::directory(plan, stage, &Path::new("/").join(name), Links::Refused)?;
    mount_calls::attach(plan, Path::new(name), layer, place);
    Ok(())
}

/// `upper` and `work` in the directory `kept`, made if missing; neither may be a symbolic link.
fn kept_layer(plan: &mut SyscallPlan, kept: Slot) -> Result<[Slot; 2], Error> {
    let upper = lookup::directory(plan, kept, Path::new("/upper"), Links::Refused)?;
    let work = lookup::directory(plan, kept, Path::new("/work"), Links::Refused)?;
    Ok([upper, work])
}

/// The directory `root` on the stage.
pub(crate) fn root_on(plan: &mut SyscallPlan, stage: Slot) -> Result<Slot, Error> {
    lookup::make_directory(plan, stage, Path::new("root"), 0o755)?;
    uppermost(plan, stage)
}

/// The topmost mount on it, if there is one.
pub(crate) fn uppermost(plan: &mut SyscallPlan, stage: Slot) -> Result<Slot, Error> {
    lookup::open(plan, stage, Path::new("root"), Links::Refused)?;
    Ok(plan.result())
}

/// An overlay with an upper layer on the stage, in the directory `name`, with the container's own files
/// in it.
pub(crate) fn throw_away(
    plan: &mut SyscallPlan,
    stage: Slot,
    name: &str,
    lowers: &[(&Path, Slot)],
    target: Slot,
    around: Around<'_>,
) -> Result<(), Error> {
    let layer = Path::new("/").join(name);
    let paths: Vec<String> = lowers.iter().map(|(path, _)| path.display().to_string()).collect();
    plan.together(format!("mount overlay over {}", paths.join(":")), |plan| {
        lookup::make_directory(plan, stage, Path::new(name), 0o755)?;
        let mut slots = [stage; 2];
        for (slot, part) in slots.iter_mut().zip(["upper", "work"]) {
            *slot = lookup::directory(plan, stage, &layer.join(part), Links::Refused)?;
        }
        if let [(point, _)] = lowers {
            around.files.write_into(plan, slots[0], point)?;
        }
        overlay(plan, lowers, slots, target, around)
    })
}

/// `mount(2)` of an overlay on the directory behind `target`.
fn overlay(
    plan: &mut SyscallPlan,
    lowers: &[(&Path, Slot)],
    [upper, work]: [Slot; 2],
    target: Slot,
    around: Around<'_>,
) -> Result<(), Error> {
    // In a user namespace overlayfs can store its marks only as `user.` attributes.
    let marks = if around.user_namespace { ",userxattr" } else { "" };
    let lower = vec!["\0"; lowers.len()].join(":");
    let options = format!("lowerdir={lower},upperdir=\0,workdir=\0{marks}");
    let slots: Vec<Slot> = lowers.iter().map(|(_, slot)| *slot).chain([upper, work]).collect();
    let written = if lowers.len() > MANY {
        let descriptors = plan.text("/proc/self/fd")?;
        plan.step(Inside, "chdir /proc/self/fd", libc::SYS_chdir, [descriptors]);
        Descriptors::Short
    } else {
        Descriptors::Whole
    };
    let options = plan.text_with_descriptors(Inside, &options, &slots, written);
    let target = plan.text_with_descriptors(Inside, "\0", &[target], Descriptors::Whole);
    let kind = plan.text("overlay")?;
    let flags = (libc::MS_NODEV | around.no_set_user_id()) as usize;
    let paths: Vec<String> = lowers.iter().map(|(path, _)| path.display().to_string()).collect();
    let words = format!("mount overlay (lowerdir={}{marks})", paths.join(":"));
    plan.step(Inside, words, libc::SYS_mount, [kind, target, kind, flags, options]);
    Ok(())
}
