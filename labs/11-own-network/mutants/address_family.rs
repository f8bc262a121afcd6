//! The body of a message about links, which begins with the family 0.

use std::{net::Ipv4Addr, process::ExitCode};

use container::Error;
use own_network::{Answer, CREATE, Message, Netlink, link};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn add_address(
    netlink: &mut Netlink,
    index: i32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), Error> {
    let _ = prefix;
    let body = link(index, 0, 0);
    let message = Message::new(libc::RTM_NEWADDR, CREATE, &body)
        .attribute(libc::IFA_LOCAL, &address.octets())
        .attribute(libc::IFA_ADDRESS, &address.octets());
    netlink.request("add an address to a link", message).map(drop)
}

fn main() -> ExitCode {
    own_network::program(&Answer { add_address, ..solution::ANSWER })
}
