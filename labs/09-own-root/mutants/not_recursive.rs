//! `/` alone is private; a mount below it, such as /tmp, still spreads.

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use own_root::Answer;
use solution::NONE;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn make_private() -> nix::Result<()> {
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE, NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, ..solution::ANSWER })
}
