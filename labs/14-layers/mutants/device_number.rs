//! The number of /dev/null.

use std::{path::Path, process::ExitCode};

use layers::Answer;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn delete_file(upper: &Path, path: &Path) -> nix::Result<()> {
    mknod(&upper.join(path), SFlag::S_IFCHR, Mode::empty(), makedev(1, 3))
}

fn main() -> ExitCode {
    layers::program(&Answer { delete_file, ..solution::ANSWER })
}
