//! A name of the program's own, whatever it is given.

use std::process::ExitCode;

use own_name::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_host_name(_name: &str) -> nix::Result<()> {
    (solution::ANSWER.set_host_name)("container")
}

fn main() -> ExitCode {
    own_name::program(&Answer { set_host_name, ..solution::ANSWER })
}
