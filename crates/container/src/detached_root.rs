//! The root of a container that does not run: its overlay, mounted nowhere, for copying in and out.
//!
//! The mount belongs to one descriptor (fsopen(2), fsmount(2)): no path leads to it, and the kernel
//! removes it when the descriptor is closed, also when this process is killed.

use std::{
    ffi::CString,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

use crate::{
    Error,
    error::{self, call},
    sys,
};

/// Of linux/mount.h.
const FSCONFIG_SET_STRING: usize = 1;
const FSCONFIG_CMD_CREATE: usize = 6;
const CLOEXEC: usize = 1;

/// The root of `lowers`, the uppermost first, below what was written to `kept` (as
/// [`Upper::Kept`](crate::Upper::Kept) keeps it).
///
/// # Errors
///
/// When a directory is missing, or the kernel cannot mount it. The container must not run: overlayfs
/// refuses an upper layer that is in use.
pub fn detached_root(lowers: &[PathBuf], kept: &Path) -> Result<OwnedFd, Error> {
    for name in ["upper", "work"] {
        let path = kept.join(name);
        std::fs::create_dir_all(&path).map_err(error::file("create", &path))?;
    }
    let upper = directory(&kept.join("upper"))?;
    let work = directory(&kept.join("work"))?;
    let layers = lowers.iter().map(|lower| directory(lower)).collect::<Result<Vec<_>, _>>()?;
    let kind = c"overlay";
    let context =
        made("fsopen overlay", libc::SYS_fsopen, [kind.as_ptr() as usize, CLOEXEC, 0, 0, 0, 0])?;
    let set = |key: &str, value: &str| -> Result<(), Errno> {
        let (key, value) = (CString::new(key), CString::new(value));
        let (Ok(key), Ok(value)) = (key, value) else { return Err(Errno::EINVAL) };
        let (key, value) = (key.as_ptr() as usize, value.as_ptr() as usize);
        let arguments = [context.as_raw_fd() as usize, FSCONFIG_SET_STRING, key, value, 0, 0];
        // SAFETY: both are C strings that live until the call has returned.
        unsafe { sys::call(libc::SYS_fsconfig, arguments) }.map(drop)
    };
    // One by one since Linux 6.5; before that all in one string, of at most 256 bytes.
    let each = layers.iter().try_for_each(|layer| set("lowerdir+", &path_of(layer)));
    let all: Vec<String> = layers.iter().map(path_of).collect();
    each.or_else(|_| set("lowerdir", &all.join(":")))
        .map_err(call("fsconfig lowerdir: so many layers need Linux 6.5"))?;
    set("upperdir", &path_of(&upper)).map_err(call("fsconfig upperdir"))?;
    set("workdir", &path_of(&work)).map_err(call("fsconfig workdir"))?;
    let number = context.as_raw_fd() as usize;
    let create = [number, FSCONFIG_CMD_CREATE, 0, 0, 0, 0];
    // SAFETY: the command takes no pointer.
    unsafe { sys::call(libc::SYS_fsconfig, create) }.map_err(call("mount the overlay"))?;
    made("fsmount", libc::SYS_fsmount, [number, CLOEXEC, libc::MOUNT_ATTR_NODEV as usize, 0, 0, 0])
}

fn directory(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let text = path.as_os_str().as_bytes().escape_ascii();
    open(path, flags, Mode::empty()).map_err(call(format!("open the directory {text}")))
}

fn path_of(descriptor: &OwnedFd) -> String {
    format!("/dev/fd/{}", descriptor.as_raw_fd())
}

/// The descriptor that a call makes.
fn made(step: &str, number: i64, arguments: [usize; 6]) -> Result<OwnedFd, Error> {
    // SAFETY: the callers pass numbers, and pointers to C strings with the lifetime of the program.
    let descriptor = unsafe { sys::call(number, arguments) }.map_err(call(step.to_owned()))?;
    // SAFETY: the call has just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}
