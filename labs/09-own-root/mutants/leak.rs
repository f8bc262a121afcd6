//! Mounts stay shared with the host: what is mounted here is mounted there as well.

use std::process::ExitCode;

use own_root::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn make_private() -> nix::Result<()> {
    Ok(())
}

fn main() -> ExitCode {
    own_root::program(&Answer { make_private, ..solution::ANSWER })
}
