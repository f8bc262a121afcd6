//! Without MS_BIND the call asks for a new file system, of no type.

use std::{path::Path, process::ExitCode};

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn bind_self(root: &Path) -> nix::Result<()> {
    mount(Some(root), root, solution::NONE, MsFlags::empty(), solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { bind_self, ..solution::ANSWER })
}
