//! The names are the wrong way round.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Netlink};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create_pair(netlink: &mut Netlink, name: &str, peer: &str, pid: i32) -> Result<(), Error> {
    (solution::ANSWER.create_pair)(netlink, peer, name, pid)
}

fn main() -> ExitCode {
    own_network::program(&Answer { create_pair, ..solution::ANSWER })
}
