//! Slaves in place of private mounts: what the host mounts still shows up here.

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn make_private() -> nix::Result<()> {
    mount(solution::NONE, "/", solution::NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, ..solution::ANSWER })
}
