//! `..` leads into what is stacked on the root, and the process stays in it.

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
    chdir("..")?;
    umount2(".", MntFlags::MNT_DETACH)
}

fn main() -> ExitCode {
    own_root::program(&Answer { detach_old, ..solution::ANSWER })
}
