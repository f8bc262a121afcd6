//! A file that is not there.

use std::{fs, io, process::ExitCode};

use nix::unistd::{Pid, Uid};
use own_user::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_maps(child: Pid) -> io::Result<()> {
    fs::write(format!("/proc/{child}/uidmap"), format!("0 {} 1", Uid::effective()))
}

fn main() -> ExitCode {
    own_user::program(&Answer { write_maps, ..solution::ANSWER })
}
