//! write! makes a write(2) of each piece of the text.

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn write_maps(child: Pid) -> io::Result<()> {
    let mut file = fs::File::create(format!("/proc/{child}/uid_map"))?;
    write!(file, "0 {} 1", Uid::effective())?;
    fs::write(format!("/proc/{child}/setgroups"), "deny")?;
    fs::write(format!("/proc/{child}/gid_map"), format!("0 {} 1", Gid::effective()))
}

fn main() -> ExitCode {
    own_user::program(&Answer { write_maps, ..solution::ANSWER })
}
