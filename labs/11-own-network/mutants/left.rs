//! The pair is left to whoever comes next.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Netlink};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(netlink: &mut Netlink, name: &str) -> Result<(), Error> {
    let _ = (netlink, name);
    Ok(())
}

fn main() -> ExitCode {
    own_network::program(&Answer { remove, ..solution::ANSWER })
}
