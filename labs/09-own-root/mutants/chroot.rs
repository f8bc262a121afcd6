//! chroot(2) in place of pivot_root(2): the old root is still there, one `..` too many away.
//!
//! Caught as: L09-breakout

use std::{path::Path, process::ExitCode};

use nix::unistd::{chdir, chroot};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pivot(root: &Path) -> nix::Result<()> {
    chdir(root)?;
    chroot(".")
}

fn detach_old() -> nix::Result<()> {
    chdir("/")
}

fn main() -> ExitCode {
    own_root::program(&Answer { pivot, detach_old, ..solution::ANSWER })
}
