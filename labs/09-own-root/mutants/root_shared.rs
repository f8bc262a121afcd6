//! Private below `/`, by the name of a mount there; `/` itself is still shared.

use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn make_private() -> nix::Result<()> {
    let list = std::fs::read_to_string("/proc/self/mountinfo").map_err(|_| nix::Error::EIO)?;
    for point in list.lines().filter_map(|line| line.split(' ').nth(4)).filter(|it| *it != "/") {
        mount(solution::NONE, point, solution::NONE, MsFlags::MS_PRIVATE, solution::NONE)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, ..solution::ANSWER })
}
