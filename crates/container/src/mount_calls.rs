//! The kernel's mount calls that work on descriptors, as steps of a plan: `fsopen(2)`, `fsconfig(2)`,
//! `fsmount(2)`, `open_tree(2)`, `mount_setattr(2)` and `move_mount(2)`.

use std::path::Path;

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error, lookup,
    mount::Attributes,
    plan::{Slot, SyscallPlan},
};

/// What `mount_setattr(2)` changes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) attributes: Attributes,
    /// `MS_PRIVATE` and the like; 0 changes nothing.
    pub(crate) propagation: u64,
    /// Whether the mounts below change too.
    pub(crate) recursive: bool,
}

/// `mount_setattr(2)` on a mount and all mounts below it.
pub(crate) fn set_attributes(plan: &mut SyscallPlan, words: String, mount: Slot, set: u64) {
    let attributes = Attributes { set, clear: 0 };
    let change = Change { attributes, propagation: libc::MS_PRIVATE, recursive: true };
    self::change(plan, words, mount, change);
}

/// The same on this mount only.
pub(crate) fn set_attributes_of_one(plan: &mut SyscallPlan, words: String, mount: Slot, set: u64) {
    let attributes = Attributes { set, clear: 0 };
    let change = Change { attributes, propagation: libc::MS_PRIVATE, recursive: false };
    self::change(plan, words, mount, change);
}

/// `mount_setattr(2)`.
pub(crate) fn change(plan: &mut SyscallPlan, words: String, mount: Slot, change: Change) {
    let Change { attributes: Attributes { set, clear }, propagation, recursive } = change;
    // struct mount_attr: what to set, what to clear, propagation, user namespace.
    let attributes = [set, clear, propagation, 0].map(u64::to_ne_bytes).concat();
    let size = attributes.len();
    let (nothing, attributes) = (plan.keep([0]), plan.keep(attributes));
    let below = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = (libc::AT_EMPTY_PATH | below) as usize;
    let arguments = [mount.operand(), nothing, flags, attributes, size];
    plan.step(Inside, words, libc::SYS_mount_setattr, arguments);
}

/// `open_tree(2)`: a copy of the mount at a host's `path`, attached nowhere. The caller has
/// resolved all symbolic links in the path.
pub(crate) fn copy_of_hosts(
    plan: &mut SyscallPlan,
    path: &Path,
    recursive: bool,
) -> Result<Slot, Error> {
    lookup::open_of_host(plan, path)?;
    let found = plan.result();
    Ok(copy(plan, path, found, recursive))
}

/// The same for an open file or directory.
pub(crate) fn copy(plan: &mut SyscallPlan, path: &Path, found: Slot, recursive: bool) -> Slot {
    let nothing = plan.keep([0]);
    let below = if recursive { libc::AT_RECURSIVE as usize } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as usize | libc::AT_EMPTY_PATH as usize | below;
    let words = format!("open_tree a copy of {}", path.display());
    plan.step(Inside, words, libc::SYS_open_tree, [found.operand(), nothing, flags]);
    plan.result()
}

const OPEN_TREE_CLONE: usize = 1;
const FSCONFIG_SET_FLAG: usize = 0;
const FSCONFIG_SET_STRING: usize = 1;
const FSCONFIG_CMD_CREATE: usize = 6;

const CLOEXEC: usize = 1; // FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC

/// A new file system, attached nowhere: `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`. With `may_lack`
/// the slot stays empty if this host refuses it.
pub(crate) fn fresh(
    plan: &mut SyscallPlan,
    kind: &str,
    source: &str,
    (attributes, data): (u64, &[(String, Option<String>)]),
    may_lack: bool,
) -> Result<Slot, Error> {
    /// It may not be mounted here, or this kernel does not have it.
    const LACKING: &[Errno] = &[Errno::EPERM, Errno::ENODEV];
    let failures = if may_lack { LACKING } else { &[] };
    let made = plan.slot();
    let name = plan.text(kind)?;
    let options: String =
        data.iter().map(|(key, value)| option_words(key, value.as_deref())).collect();
    plan.step(Inside, format!("fsopen {kind}"), libc::SYS_fsopen, [name, CLOEXEC]);
    let context = plan.result();
    plan.unless_failed(failures, |plan| {
        let configure =
            |plan: &mut SyscallPlan, command, key: usize, value: usize, words: String| {
                plan.step(
                    Inside,
                    words,
                    libc::SYS_fsconfig,
                    [context.operand(), command, key, value, 0],
                );
            };
        let (key, value) = (plan.text("source")?, plan.text(source)?);
        configure(plan, FSCONFIG_SET_STRING, key, value, format!("fsconfig source={source}"));
        for (key, value) in data {
            let words = format!("fsconfig{}", option_words(key, value.as_deref()));
            let key = plan.text(key)?;
            match value {
                Some(value) => {
                    let value = plan.text(value)?;
                    configure(plan, FSCONFIG_SET_STRING, key, value, words);
                }
                None => configure(plan, FSCONFIG_SET_FLAG, key, 0, words),
            }
        }
        configure(plan, FSCONFIG_CMD_CREATE, 0, 0, format!("fsconfig create {kind}"));
        plan.unless_failed(failures, |plan| {
            let arguments = [context.operand(), CLOEXEC, attributes as usize];
            plan.step(Inside, format!("fsmount {kind}{options}"), libc::SYS_fsmount, arguments);
            plan.result_into(made);
            plan.forgive(failures);
        });
        Ok(made)
    })
}

fn option_words(key: &str, value: Option<&str>) -> String {
    value.map_or_else(|| format!(" {key}"), |value| format!(" {key}={value}"))
}

/// `move_mount(2)` of a mount onto an open file or directory.
pub(crate) fn attach(plan: &mut SyscallPlan, path: &Path, mount: Slot, target: Slot) {
    const FROM_DESCRIPTOR: usize = 4; // MOVE_MOUNT_F_EMPTY_PATH
    const TO_DESCRIPTOR: usize = 0x40; // MOVE_MOUNT_T_EMPTY_PATH
    let nothing = plan.keep([0]);
    let flags = FROM_DESCRIPTOR | TO_DESCRIPTOR;
    let arguments = [mount.operand(), nothing, target.operand(), nothing, flags];
    plan.step(
        Inside,
        format!("move_mount onto {}", path.display()),
        libc::SYS_move_mount,
        arguments,
    );
}
