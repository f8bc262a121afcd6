//! The flag is in the mask and not among the flags.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Message, Netlink, link};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_up(netlink: &mut Netlink, index: i32) -> Result<(), Error> {
    let up = libc::IFF_UP as u32;
    let message = Message::new(libc::RTM_NEWLINK, 0, &link(index, 0, up));
    netlink.request("bring a link up", message).map(drop)
}

fn main() -> ExitCode {
    own_network::program(&Answer { set_up, ..solution::ANSWER })
}
