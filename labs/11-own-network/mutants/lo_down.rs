//! The loop-back link is forgotten: nobody inside reaches himself.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Netlink, Plan};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn prepare_inside(netlink: &mut Netlink, plan: &Plan) -> Result<(), Error> {
    let index = netlink.index_of(&plan.inner)?;
    netlink.add_address(index, plan.inner_address, plan.prefix)?;
    netlink.set_up(index)
}

fn main() -> ExitCode {
    own_network::program(&Answer { prepare_inside, ..solution::ANSWER })
}
