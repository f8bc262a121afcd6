//! Lab 09: give a process a root directory of its own, with no way back to the old one.
//!
//! Write the five functions. The new process calls them one after the other; it has a mount
//! namespace and a pid namespace of its own already. `isolab lab check 09` tells how far you are.
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
/// pivot_root(2) takes a mount as the new root, and not any directory.
fn bind_self(root: &Path) -> nix::Result<()> {
    todo!("lab 9, step 2: a bind mount whose source and target are the same")
}

/// Mounts a new `proc` on the directory `proc` in `root`: it shows the processes of the pid
/// namespace of whoever mounts it (proc(5)).
///
/// It comes before the old root goes: a user namespace may mount a `proc` only while it sees
/// another one whole.
fn mount_proc(root: &Path) -> nix::Result<()> {
    todo!(
        "lab 9, step 3: a mount whose type is \"proc\"; no set-user-id, devices or programs in it"
    )
}

/// Makes the mount at `root` the root of this mount namespace (pivot_root(2)).
///
/// The old root goes on top of the new one, at the same place: `pivot_root(".", ".")` needs no
/// directory for it, but the working directory must be the new root.
fn pivot(root: &Path) -> nix::Result<()> {
    todo!("lab 9, step 4: go there, then one call")
}

/// Takes the old root away, which lies on `.`, with all that is mounted in it, though it is in use;
/// then goes to `/` (umount2(2)).
fn detach_old() -> nix::Result<()> {
    todo!("lab 9, step 5: one flag lets a mount go that is busy")
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, bind_self, mount_proc, pivot, detach_old })
}
