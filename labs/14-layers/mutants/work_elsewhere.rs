//! `work` on another file system than `upper`: files could not be moved from one to the other.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use layers::Answer;
use nix::{
    mount::{MsFlags, mount},
    sys::stat::Mode,
    unistd::mkdir,
};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn mount_overlay(lowers: &[PathBuf], upper: &Path, _work: &Path, target: &Path) -> nix::Result<()> {
    let work = Path::new("/dev/shm/work");
    mkdir(work, Mode::S_IRWXU)?;
    let lowers: Vec<String> = lowers.iter().map(|lower| lower.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        lowers.join(":"),
        upper.display(),
        work.display()
    );
    mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(&*options))
}

fn main() -> ExitCode {
    layers::program(&Answer { mount_overlay, ..solution::ANSWER })
}
