//! Checks of what has been opened or mounted: by mount, inode, device and type, never by a path alone.

use std::{ffi::CStr, mem::offset_of, ops::Range, path::Path};

use sandbox::Question::Inside;

use crate::{
    Error,
    plan::{NO_CALL, Slot, SyscallPlan},
};

/// Where statx(2) writes the mount id.
const MOUNT: Range<usize> = field(offset_of!(libc::statx, stx_mnt_id));
const INODE: Range<usize> = field(offset_of!(libc::statx, stx_ino));

const fn field(start: usize) -> Range<usize> {
    start..start + 8
}

/// Adds a check, described by `words`: `path` leads to that mount. No link can lead out, because
/// the old root is gone.
pub(crate) fn stands_at(
    plan: &mut SyscallPlan,
    words: String,
    path: &Path,
    mount: Slot,
) -> Result<(), Error> {
    let path = plan.text(path)?;
    let at = statx_at(plan, libc::AT_FDCWD as usize, path, libc::AT_NO_AUTOMOUNT);
    let found = (at, statx(plan, mount, c""));
    plan.compare(Inside, words, found, &[MOUNT], true);
    Ok(())
}

/// Adds a check, described by `words`: the descriptors are of different files.
pub(crate) fn different_place(plan: &mut SyscallPlan, words: String, one: Slot, other: Slot) {
    let found = (statx(plan, one, c""), statx(plan, other, c""));
    plan.compare(Inside, words, found, &[MOUNT, INODE], false);
}

/// Adds a check: nothing is mounted on top of `root`, the root of this process. Such a mount would
/// be visible only by `..`, which leads onto it.
pub(crate) fn nothing_above(plan: &mut SyscallPlan, root: Slot) {
    let found = (statx(plan, root, c".."), statx(plan, root, c""));
    let words = "nothing of the host is mounted above the new root";
    plan.compare(Inside, words, found, &[MOUNT], true);
}

/// Adds a check: the open device has this number.
pub(crate) fn same_device(
    plan: &mut SyscallPlan,
    words: String,
    device: Slot,
    (major, minor): (u32, u32),
) {
    const NUMBER: Range<usize> = field(offset_of!(libc::statx, stx_rdev_major));
    let found = statx(plan, device, c"");
    let mut expected = vec![0; size_of::<libc::statx>()];
    expected[NUMBER].copy_from_slice(&[major, minor].map(u32::to_ne_bytes).concat());
    let expected = plan.keep(expected);
    plan.compare(Inside, words, (found, expected), &[NUMBER], true);
}

/// Adds a check: the open file is a device or FIFO of this kind (`S_IFCHR`) and number. A FIFO has the
/// number 0:0.
pub(crate) fn same_node(
    plan: &mut SyscallPlan,
    words: String,
    node: Slot,
    (kind, major, minor): (u32, u32, u32),
) {
    const NUMBER: Range<usize> = field(offset_of!(libc::statx, stx_rdev_major));
    // The upper byte of the mode: the kind, three bits that no device needs, and reading by its owner.
    const KIND: Range<usize> =
        offset_of!(libc::statx, stx_mode) + 1..offset_of!(libc::statx, stx_mode) + 2;
    let found = statx(plan, node, c"");
    let mut expected = vec![0; size_of::<libc::statx>()];
    expected[NUMBER].copy_from_slice(&[major, minor].map(u32::to_ne_bytes).concat());
    expected[KIND].copy_from_slice(&[((kind | libc::S_IRUSR) >> 8) as u8]);
    let expected = plan.keep(expected);
    plan.compare(Inside, words, (found, expected), &[NUMBER, KIND], true);
}

/// Adds a check: the open file is in a file system of this type (statfs(2)).
pub(crate) fn same_type(plan: &mut SyscallPlan, words: String, mount: Slot, magic: i64) {
    const TYPE: Range<usize> = field(offset_of!(libc::statfs, f_type));
    let found = plan.keep(vec![0; size_of::<libc::statfs>()]);
    plan.step(Inside, NO_CALL, libc::SYS_fstatfs, [mount.operand(), found]);
    let expected = plan.keep(magic.to_ne_bytes());
    plan.compare(Inside, words, (found, expected), &[TYPE], true);
}

/// Adds statx(2) of `path` relative to a descriptor; returns the address of its result.
fn statx(plan: &mut SyscallPlan, of: Slot, path: &CStr) -> usize {
    let flags = if path.is_empty() { libc::AT_EMPTY_PATH } else { libc::AT_NO_AUTOMOUNT };
    let path = plan.keep(path.to_bytes_with_nul());
    statx_at(plan, of.operand(), path, flags)
}

fn statx_at(plan: &mut SyscallPlan, directory: usize, path: usize, flags: i32) -> usize {
    let found = plan.keep([0; size_of::<libc::statx>()]);
    let wanted = (libc::STATX_MNT_ID | libc::STATX_INO) as usize;
    plan.step(Inside, NO_CALL, libc::SYS_statx, [directory, path, flags as usize, wanted, found]);
    found
}
