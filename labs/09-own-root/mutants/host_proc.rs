//! The host's /proc bound in place of a new one: it lists the host's processes.

use std::{path::Path, process::ExitCode};

use nix::mount::{MsFlags, mount};
use own_root::Answer;
use solution::NONE;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_proc(root: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some("/proc"), &root.join("proc"), NONE, flags, NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { mount_proc, ..solution::ANSWER })
}
