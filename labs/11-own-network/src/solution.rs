//! Lab 11, solved.

use std::{net::Ipv4Addr, process::ExitCode};

use container::Error;
use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::Pid,
};
use own_network::{
    Answer, CREATE, Inside, Message, Netlink, VETH_INFO_PEER, VethConfig, link, text,
};

pub(crate) const LOOPBACK: i32 = 1;

fn spawn(inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    unsafe { clone(inside, &mut stack, CloneFlags::CLONE_NEWNET, Some(Signal::SIGCHLD as i32)) }
}

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
    netlink.request("create a pair of links", message).map(drop)
}

fn add_address(
    netlink: &mut Netlink,
    index: i32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), Error> {
    let mut body = vec![libc::AF_INET as u8, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    let message = Message::new(libc::RTM_NEWADDR, CREATE, &body)
        .attribute(libc::IFA_LOCAL, &address.octets())
        .attribute(libc::IFA_ADDRESS, &address.octets());
    netlink.request("add an address to a link", message).map(drop)
}

fn set_up(netlink: &mut Netlink, index: i32) -> Result<(), Error> {
    let up = libc::IFF_UP as u32;
    let message = Message::new(libc::RTM_NEWLINK, 0, &link(index, up, up));
    netlink.request("bring a link up", message).map(drop)
}

fn prepare_inside(netlink: &mut Netlink, config: &VethConfig) -> Result<(), Error> {
    let index = netlink.index_of(&config.inner)?;
    add_address(netlink, index, config.inner_address, config.prefix)?;
    set_up(netlink, index)?;
    set_up(netlink, LOOPBACK)
}

fn remove(netlink: &mut Netlink, name: &str) -> Result<(), Error> {
    let message = Message::new(libc::RTM_DELLINK, 0, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(name));
    netlink.request("delete a link", message).map(drop)
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer =
    Answer { spawn, create_pair, add_address, set_up, prepare_inside, remove };

fn main() -> ExitCode {
    own_network::program(&ANSWER)
}
