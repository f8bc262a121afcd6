//! Index 0, as in a new link's body: which link is meant?

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, Message, Netlink, link};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_up(netlink: &mut Netlink, _index: i32) -> Result<(), Error> {
    let up = libc::IFF_UP as u32;
    let message = Message::new(libc::RTM_NEWLINK, 0, &link(0, up, up));
    netlink.request("bring a link up", message).map(drop)
}

fn main() -> ExitCode {
    own_network::program(&Answer { set_up, ..solution::ANSWER })
}
