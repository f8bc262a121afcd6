//! The path of the host's /proc, since the root is not changed yet.

use std::{path::Path, process::ExitCode};

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_proc(_root: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { mount_proc, ..solution::ANSWER })
}
