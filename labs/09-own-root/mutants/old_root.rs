//! The old root is left where pivot_root(2) has put it.

use std::{path::Path, process::ExitCode};

use nix::{
    mount::{MsFlags, mount},
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
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &root.join("proc"), Some("proc"), flags, NONE)
}

fn pivot(root: &Path) -> nix::Result<()> {
    chdir(root)?;
    pivot_root(".", ".")
}

fn detach_old() -> nix::Result<()> {
    chdir("/")
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, bind_self, mount_proc, pivot, detach_old })
}
