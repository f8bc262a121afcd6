//! Another directory is mounted on the new root.

use std::{path::Path, process::ExitCode};

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn bind_self(root: &Path) -> nix::Result<()> {
    mount(Some("/"), root, solution::NONE, MsFlags::MS_BIND | MsFlags::MS_REC, solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { bind_self, ..solution::ANSWER })
}
