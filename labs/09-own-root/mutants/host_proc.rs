//! The host's /proc bound in place of a new one: it lists the host's processes.

use std::{path::Path, process::ExitCode};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};
use own_root::Answer;

const NONE: Option<&str> = None;

fn make_private() -> nix::Result<()> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
}

fn bind_self(root: &Path) -> nix::Result<()> {
    mount(Some(root), root, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
}

fn mount_proc(root: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some("/proc"), &root.join("proc"), NONE, flags, NONE)
}

fn pivot(root: &Path) -> nix::Result<()> {
    chdir(root)?;
    pivot_root(".", ".")
}

fn detach_old() -> nix::Result<()> {
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, bind_self, mount_proc, pivot, detach_old })
}
