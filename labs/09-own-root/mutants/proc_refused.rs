//! There is no such type.

use std::{path::Path, process::ExitCode};

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_proc(root: &Path) -> nix::Result<()> {
    mount(Some("proc"), &root.join("proc"), Some("procfs"), MsFlags::empty(), solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { mount_proc, ..solution::ANSWER })
}
