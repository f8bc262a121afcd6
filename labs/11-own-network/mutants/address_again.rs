//! NLM_F_REPLACE: an address that is there already is replaced.

use std::{net::Ipv4Addr, process::ExitCode};

use container::Error;
use own_network::{Answer, Message, Netlink};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn add_address(
    netlink: &mut Netlink,
    index: i32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), Error> {
    let mut body = vec![libc::AF_INET as u8, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    let message =
        Message::new(libc::RTM_NEWADDR, (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16, &body)
            .attribute(libc::IFA_LOCAL, &address.octets())
            .attribute(libc::IFA_ADDRESS, &address.octets());
    netlink.request("add an address to a link", message).map(drop)
}

fn main() -> ExitCode {
    own_network::program(&Answer { add_address, ..solution::ANSWER })
}
