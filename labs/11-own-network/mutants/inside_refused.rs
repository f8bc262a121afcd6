//! The child looks for the host's end, which is not there.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Netlink, VethConfig};
use solution::LOOPBACK;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn prepare_inside(netlink: &mut Netlink, config: &VethConfig) -> Result<(), Error> {
    let index = netlink.index_of(&config.outer)?;
    netlink.add_address(index, config.inner_address, config.prefix)?;
    netlink.set_up(index)?;
    netlink.set_up(LOOPBACK)
}

fn main() -> ExitCode {
    own_network::program(&Answer { prepare_inside, ..solution::ANSWER })
}
