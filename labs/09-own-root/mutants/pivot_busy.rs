//! The old root would go on the old root.

use std::{path::Path, process::ExitCode};

use nix::unistd::pivot_root;
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pivot(root: &Path) -> nix::Result<()> {
    pivot_root(root, "/")
}

fn main() -> ExitCode {
    own_root::program(&Answer { pivot, ..solution::ANSWER })
}
