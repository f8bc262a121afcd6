//! A message that names no link.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Message, Netlink, link};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(netlink: &mut Netlink, _name: &str) -> Result<(), Error> {
    let message = Message::new(libc::RTM_DELLINK, 0, &link(0, 0, 0));
    netlink.request("delete a link", message).map(drop)
}

fn main() -> ExitCode {
    own_network::program(&Answer { remove, ..solution::ANSWER })
}
