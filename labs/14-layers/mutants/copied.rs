//! All layers copied into one directory: it looks right, and takes their space for each container.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use layers::Answer;
use nix::errno::Errno;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_overlay(
    lowers: &[PathBuf],
    _upper: &Path,
    _work: &Path,
    target: &Path,
) -> nix::Result<()> {
    for lower in lowers.iter().rev() {
        copy(lower, target).map_err(|_| Errno::EIO)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    layers::program(&Answer { mount_overlay, ..solution::ANSWER })
}
