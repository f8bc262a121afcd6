//! The new process has a child at once, which does the work.

use std::process::ExitCode;

use nix::{sys::wait::waitpid, unistd::Pid};
use own_network::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn spawn(mut inside: Inside) -> nix::Result<Pid> {
    let again = || match (solution::ANSWER.spawn)(Box::new(&mut inside)) {
        Ok(child) => waitpid(child, None).map_or(1, |_| 0),
        Err(_) => 1,
    };
    (solution::ANSWER.spawn)(Box::new(again))
}

fn main() -> ExitCode {
    own_network::program(&Answer { spawn, ..solution::ANSWER })
}
