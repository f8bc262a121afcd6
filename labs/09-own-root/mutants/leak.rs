//! Mounts stay shared with the host: what is mounted here is mounted there as well.

use std::{path::Path, process::ExitCode};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};
use own_root::Answer;

const NONE: Option<&str> = None;

fn make_private() -> nix::Result<()> {
    Ok(())
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

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, bind_self, mount_proc, pivot, detach_old })
}
