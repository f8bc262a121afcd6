//! The same number inside as outside: allowed, but nobody is root then.

use std::{
    fs,
    io::{self},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_maps(child: Pid) -> io::Result<()> {
    let (user, group) = (Uid::effective(), Gid::effective());
    fs::write(format!("/proc/{child}/uid_map"), format!("{user} {user} 1"))?;
    fs::write(format!("/proc/{child}/setgroups"), "deny")?;
    fs::write(format!("/proc/{child}/gid_map"), format!("{group} {group} 1"))
}

fn main() -> ExitCode {
    own_user::program(&Answer { write_maps, ..solution::ANSWER })
}
