//! Lab 11: give a process a network of its own, and connect it to the host.
//!
//! Write the functions. `isolab lab check 11` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

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

/// The loopback link has this index in every network namespace.
const LOOPBACK: i32 = 1;

/// Creates a process in a network namespace of its own, which runs `inside`; everything else it
/// shares with the host, in whose network the caller stays. Returns its PID while it runs; the
/// parent gets `SIGCHLD` when it exits.
fn spawn(inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    todo!("lab 11, step 1: unsafe {{ clone(...) }} with one flag, as in lab 8")
}

/// Creates a pair of links: `name` in this network namespace; the other end, `peer`, in that of
/// process `pid`. Both are down. If the name is taken, it returns the kernel's error.
///
/// One message does it: of type `RTM_NEWLINK`, with the flags `CREATE` and the body `link(0, 0, 0)`.
/// Its attributes, the nested ones indented:
///
/// ```text
///   IFLA_IFNAME            text(name)
///   IFLA_LINKINFO
///     IFLA_INFO_KIND       b"veth"
///     IFLA_INFO_DATA
///       VETH_INFO_PEER     raw: link(0, 0, 0), the body of the other end
///         IFLA_IFNAME      text(peer)
///         IFLA_NET_NS_PID  pid.to_ne_bytes()
/// ```
fn create_pair(netlink: &mut Netlink, name: &str, peer: &str, pid: i32) -> Result<(), Error> {
    todo!("lab 11, step 2: Message::new(...).attribute(...).nested(...), then netlink.request")
}

/// Gives the link `index` the address `address`, of which `prefix` bits identify the network. If
/// the link has it already, it returns the kernel's error.
///
/// One message does it: of type `RTM_NEWADDR`, with the flags `CREATE`. Its body is struct ifaddrmsg
/// (rtnetlink(7)): four bytes, the family `AF_INET`, the prefix, 0 (no flags) and 0 (valid
/// everywhere), then the index as four bytes. The attributes `IFA_LOCAL` and `IFA_ADDRESS` are both
/// `address.octets()`.
fn add_address(
    netlink: &mut Netlink,
    index: i32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), Error> {
    todo!("lab 11, step 3: a body of eight bytes, two attributes")
}

/// Brings the link `index` up, and changes nothing else of it. If there is no such link, it returns
/// the kernel's error.
///
/// One message does it: of type `RTM_NEWLINK`, without flags; its body `link(...)` holds that index,
/// `IFF_UP` as the new flags, and `IFF_UP` as the change mask.
fn set_up(netlink: &mut Netlink, index: i32) -> Result<(), Error> {
    todo!("lab 11, step 4: no attributes")
}

/// What the new process does in its own network namespace, with a socket that it opened there: its
/// end of the pair, `config.inner`, gets its address and is brought up. So is the loopback link,
/// which is down in every new namespace. `netlink.index_of(name)` returns a link's index.
fn prepare_inside(netlink: &mut Netlink, config: &VethConfig) -> Result<(), Error> {
    todo!("lab 11, step 5: three calls of your own functions, and one for the index")
}

/// Deletes the link `name`, and with it its other end: type `RTM_DELLINK`, no flags, the attribute
/// `IFLA_IFNAME`.
fn remove(netlink: &mut Netlink, name: &str) -> Result<(), Error> {
    todo!("lab 11, step 6: the body is link(0, 0, 0)")
}

fn main() -> ExitCode {
    own_network::program(&Answer {
        spawn,
        create_pair,
        add_address,
        set_up,
        prepare_inside,
        remove,
    })
}
