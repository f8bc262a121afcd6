//! No new process: the program joins the group itself, and does the work itself.

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Group, Work};
use nix::unistd::{Pid, getpid};
use solution::join;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn_in(group: &Group, mut work: Work) -> io::Result<Pid> {
    join(group)?;
    work();
    Ok(getpid())
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { spawn_in, ..solution::ANSWER })
}
