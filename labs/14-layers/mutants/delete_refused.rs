//! The path as it is, from the root: there is no such directory.

use std::{path::Path, process::ExitCode};

use layers::Answer;
use nix::sys::stat::{Mode, SFlag, mknod};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn delete_file(upper: &Path, path: &Path) -> nix::Result<()> {
    let _ = upper;
    mknod(&Path::new("/").join(path), SFlag::S_IFCHR, Mode::empty(), 0)
}

fn main() -> ExitCode {
    layers::program(&Answer { delete_file, ..solution::ANSWER })
}
