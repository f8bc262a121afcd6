//! A file named `.wh.NAME`, as in an image's archive: overlayfs does not know it.

use std::{path::Path, process::ExitCode};

use layers::Answer;
use nix::sys::stat::{Mode, SFlag, mknod};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn delete_file(upper: &Path, path: &Path) -> nix::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let path = path.with_file_name(format!(".wh.{name}"));
    mknod(&upper.join(path), SFlag::S_IFREG, Mode::S_IRUSR, 0)
}

fn main() -> ExitCode {
    layers::program(&Answer { delete_file, ..solution::ANSWER })
}
