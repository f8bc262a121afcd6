//! No `proc` at all.

use std::{path::Path, process::ExitCode};

use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_proc(_root: &Path) -> nix::Result<()> {
    Ok(())
}

fn main() -> ExitCode {
    own_root::program(&Answer { mount_proc, ..solution::ANSWER })
}
