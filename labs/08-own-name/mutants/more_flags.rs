//! Namespaces that nobody asked for: the network is gone, and ids mean nothing without maps.

use std::process::ExitCode;

use nix::sched::CloneFlags;
use own_name::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn clone_flags() -> CloneFlags {
    (solution::ANSWER.clone_flags)()
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUSER
}

fn main() -> ExitCode {
    own_name::program(&Answer { clone_flags, ..solution::ANSWER })
}
