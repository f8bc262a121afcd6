//! The message is sent twice.

use std::{net::Ipv4Addr, process::ExitCode};

use container::Error;
use own_network::{Answer, Netlink};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn add_address(
    netlink: &mut Netlink,
    index: i32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), Error> {
    (solution::ANSWER.add_address)(netlink, index, address, prefix)?;
    (solution::ANSWER.add_address)(netlink, index, address, prefix)
}

fn main() -> ExitCode {
    own_network::program(&Answer { add_address, ..solution::ANSWER })
}
