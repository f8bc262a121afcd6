//! A prefix of 32 bits: a network of one address, in which there is no way to the other.

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
    _prefix: u8,
) -> Result<(), Error> {
    (solution::ANSWER.add_address)(netlink, index, address, 32)
}

fn main() -> ExitCode {
    own_network::program(&Answer { add_address, ..solution::ANSWER })
}
