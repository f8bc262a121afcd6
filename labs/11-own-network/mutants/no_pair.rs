//! Two pairs, and one end of each: nothing that goes in here comes out there.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Netlink};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create_pair(netlink: &mut Netlink, name: &str, peer: &str, pid: i32) -> Result<(), Error> {
    // Two pairs: the ends of the wrong one are connected.
    let spare = format!("{peer}x");
    netlink.create_veth(name, &spare, pid)?;
    let other = format!("{name}x");
    netlink.create_veth(&other, peer, pid)
}

fn main() -> ExitCode {
    own_network::program(&Answer { create_pair, ..solution::ANSWER })
}
