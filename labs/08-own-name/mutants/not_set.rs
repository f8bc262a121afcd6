//! The name is written into /proc/sys, which is read-only.

use std::{fs, process::ExitCode};

use nix::errno::Errno;
use own_name::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_host_name(name: &str) -> nix::Result<()> {
    let written = fs::write("/proc/sys/kernel/hostname", name);
    written.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn main() -> ExitCode {
    own_name::program(&Answer { set_host_name, ..solution::ANSWER })
}
