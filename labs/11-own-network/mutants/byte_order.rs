//! The address is written in the byte order of the processor.

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
    let reversed = Ipv4Addr::from(u32::from(address).swap_bytes());
    (solution::ANSWER.add_address)(netlink, index, reversed, prefix)
}

fn main() -> ExitCode {
    own_network::program(&Answer { add_address, ..solution::ANSWER })
}
