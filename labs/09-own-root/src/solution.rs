//! Lab 09, solved.
//!
//! `container::rootfs` makes the same calls in the same order; there they are steps of a plan, since
//! the child of that runner may not call functions.

use std::{path::Path, process::ExitCode};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};
use own_root::Answer;

pub(crate) const NONE: Option<&str> = None;

fn make_private() -> nix::Result<()> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
}

fn bind_self(root: &Path) -> nix::Result<()> {
    mount(Some(root), root, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
}

fn mount_proc(root: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &root.join("proc"), Some("proc"), flags, NONE)
}

fn pivot(root: &Path) -> nix::Result<()> {
    chdir(root)?;
    pivot_root(".", ".")
}

fn detach_old() -> nix::Result<()> {
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { make_private, bind_self, mount_proc, pivot, detach_old };

fn main() -> ExitCode {
    own_root::program(&ANSWER)
}
