//! The limit of processes is in another parents: with the user, not with the group (setrlimit(2)).

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Group};
use nix::sys::resource::{Resource, setrlimit};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_pids(group: &Group, most: u64) -> io::Result<()> {
    let _ = group;
    Ok(setrlimit(Resource::RLIMIT_NPROC, most, most)?)
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { set_pids, ..solution::ANSWER })
}
