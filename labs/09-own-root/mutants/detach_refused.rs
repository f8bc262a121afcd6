//! The old root is not where it is looked for.

use std::process::ExitCode;

use nix::{
    mount::{MntFlags, umount2},
    unistd::chdir,
};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn detach_old() -> nix::Result<()> {
    umount2("/old", MntFlags::MNT_DETACH)?;
    chdir("/")
}

fn main() -> ExitCode {
    own_root::program(&Answer { detach_old, ..solution::ANSWER })
}
