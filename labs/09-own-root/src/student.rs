//! Lab 09: give a process a root directory of its own, with no way back to the old one.
//!
//! Write the five functions. The new process calls them one after the other; it already has its own
//! mount and PID namespaces. `isolab lab check 09` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{path::Path, process::ExitCode};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};
use own_root::Answer;

/// For the arguments of `mount` that a call does not need.
const NONE: Option<&str> = None;

/// Makes the mount on `/` and *all mounts below it* private: what is mounted from now on shows up
/// in this namespace only (mount_namespaces(7), "Shared subtrees").
fn make_private() -> nix::Result<()> {
    todo!("lab 9, step 1: mount(NONE, \"/\", NONE, flags, NONE), with two flags")
}

/// Makes the directory `root` a mount, by mounting it on itself (mount(2), "Creating a bind mount").
///
/// pivot_root(2) requires a mount as the new root, not just any directory.
fn bind_self(root: &Path) -> nix::Result<()> {
    todo!("lab 9, step 2: a bind mount whose source and target are the same")
}

/// Mounts a new `proc` on the directory `proc` in `root`, without set-user-ID programs, devices and
/// execution: it shows the processes of the mounter's PID namespace (proc(5)).
///
/// It comes before the old root is removed: a user namespace may mount a `proc` only while another
/// complete one is visible.
fn mount_proc(root: &Path) -> nix::Result<()> {
    todo!(
        "lab 9, step 3: a mount whose type is \"proc\"; no set-user-id, devices or programs in it"
    )
}

/// Makes the mount at `root` the root of this mount namespace (pivot_root(2)).
///
/// The old root is stacked on top of the new one: `pivot_root(".", ".")` needs no
/// directory for it, but the working directory must be the new root.
fn pivot(root: &Path) -> nix::Result<()> {
    todo!("lab 9, step 4: change into it, then one call")
}

/// Unmounts the old root, which is stacked on `.`, with everything mounted in it, although it is in
/// use (umount2(2)). The working directory is `/` in the end.
fn detach_old() -> nix::Result<()> {
    todo!("lab 9, step 5: one flag detaches a mount that is busy")
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, bind_self, mount_proc, pivot, detach_old })
}
