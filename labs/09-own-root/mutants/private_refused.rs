//! Two propagation types in one call.

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn make_private() -> nix::Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE | MsFlags::MS_PRIVATE;
    mount(solution::NONE, "/", solution::NONE, flags, solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, ..solution::ANSWER })
}
