//! The old root would go where there is no directory.

use std::{path::Path, process::ExitCode};

use nix::unistd::{chdir, pivot_root};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pivot(root: &Path) -> nix::Result<()> {
    chdir(root)?;
    pivot_root(".", "old")
}

fn main() -> ExitCode {
    own_root::program(&Answer { pivot, ..solution::ANSWER })
}
