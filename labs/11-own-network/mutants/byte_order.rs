//! The address is written in the byte order of the processor.

use std::{net::Ipv4Addr, process::ExitCode};

use container::Error;
use own_network::{Answer, Netlink, VethConfig};
use solution::LOOPBACK;

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
    netlink.add_address(index, reversed, prefix)
}

fn prepare_inside(netlink: &mut Netlink, config: &VethConfig) -> Result<(), Error> {
    let index = netlink.index_of(&config.inner)?;
    add_address(netlink, index, config.inner_address, config.prefix)?;
    netlink.set_up(index)?;
    netlink.set_up(LOOPBACK)
}

fn main() -> ExitCode {
    own_network::program(&Answer { add_address, prepare_inside, ..solution::ANSWER })
}
