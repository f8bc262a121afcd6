//! The new root is a directory and no mount: pivot_root(2) would answer EINVAL.

use std::{path::Path, process::ExitCode};

use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn bind_self(_root: &Path) -> nix::Result<()> {
    Ok(())
}

fn main() -> ExitCode {
    own_root::program(&Answer { bind_self, ..solution::ANSWER })
}
