//! A named pipe: no file is seen, but it is none that overlayfs takes for a whiteout.

use std::{path::Path, process::ExitCode};

use layers::Answer;
use nix::sys::stat::{Mode, SFlag, mknod};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn delete_file(upper: &Path, path: &Path) -> nix::Result<()> {
    mknod(&upper.join(path), SFlag::S_IFIFO, Mode::empty(), 0)
}

fn main() -> ExitCode {
    layers::program(&Answer { delete_file, ..solution::ANSWER })
}
