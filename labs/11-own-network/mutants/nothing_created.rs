//! The message is built and not sent.

use std::process::ExitCode;

use container::Error;
use own_network::{Answer, CREATE, Message, Netlink, VETH_INFO_PEER, link, text};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn create_pair(netlink: &mut Netlink, name: &str, peer: &str, pid: i32) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(name))
        .nested(libc::IFLA_LINKINFO, |info| {
            info.attribute(libc::IFLA_INFO_KIND, b"veth").nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |end| {
                    end.raw(&link(0, 0, 0))
                        .attribute(libc::IFLA_IFNAME, &text(peer))
                        .attribute(libc::IFLA_NET_NS_PID, &pid.to_ne_bytes())
                })
            })
        });
    let _ = (netlink, message);
    Ok(())
}

fn main() -> ExitCode {
    own_network::program(&Answer { create_pair, ..solution::ANSWER })
}
