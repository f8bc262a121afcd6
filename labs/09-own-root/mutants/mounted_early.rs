//! A bind mount while all is shared: with MS_BIND, mount(2) looks at no propagation type.

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn make_private() -> nix::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(Some("/tmp"), "/tmp", solution::NONE, flags, solution::NONE)
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, ..solution::ANSWER })
}
