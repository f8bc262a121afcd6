//! Another file system on /proc.

use std::{path::Path, process::ExitCode};

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_proc(root: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &root.join("proc"), Some("tmpfs"), flags, solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { mount_proc, ..solution::ANSWER })
}
