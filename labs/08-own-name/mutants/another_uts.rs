//! One more UTS namespace in `set_host_name`: nobody else in the first one sees the name.

use std::process::ExitCode;

use nix::sched::{CloneFlags, unshare};
use own_name::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_host_name(name: &str) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWUTS)?;
    (solution::ANSWER.set_host_name)(name)
}

fn main() -> ExitCode {
    own_name::program(&Answer { set_host_name, ..solution::ANSWER })
}
