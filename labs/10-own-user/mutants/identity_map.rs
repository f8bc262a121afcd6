//! Root inside is to be root outside: the kernel gives away no id but one's own.

use std::{
    fs,
    io::{self},
    process::ExitCode,
};

use nix::unistd::Pid;
use own_user::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_maps(child: Pid) -> io::Result<()> {
    fs::write(format!("/proc/{child}/uid_map"), "0 0 1")?;
    fs::write(format!("/proc/{child}/setgroups"), "deny")?;
    fs::write(format!("/proc/{child}/gid_map"), "0 0 1")
}

fn main() -> ExitCode {
    own_user::program(&Answer { write_maps, ..solution::ANSWER })
}
