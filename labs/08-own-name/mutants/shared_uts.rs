//! The flag of the UTS namespace is forgotten, so the host is renamed.

use std::process::ExitCode;

use nix::sched::CloneFlags;
use own_name::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn clone_flags() -> CloneFlags {
    CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID
}

fn main() -> ExitCode {
    own_name::program(&Answer { clone_flags, ..solution::ANSWER })
}
