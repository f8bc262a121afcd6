//! The inner end has its address and is not switched on.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Netlink, Plan};
use solution::LOOPBACK;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn prepare_inside(netlink: &mut Netlink, plan: &Plan) -> Result<(), Error> {
    let index = netlink.index_of(&plan.inner)?;
    netlink.add_address(index, plan.inner_address, plan.prefix)?;
    netlink.set_up(LOOPBACK)
}

fn main() -> ExitCode {
    own_network::program(&Answer { prepare_inside, ..solution::ANSWER })
}
