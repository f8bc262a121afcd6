//! A bridge: the host's switch, into which the links of several containers lead.
//!
//! ```text
//!   host                                      container                container
//!   isolab0  172.17.0.1/16 ─┬─ isoe1f2a3b4 ── eth0  172.17.0.2/16
//!                           └─ isoe5c6d7e8 ───────────────────────────  eth0  172.17.0.3/16
//! ```
//!
//! What a port receives is sent to the port behind which the destination is (bridge(8)); the bridge
//! itself is the host's link to that network. Beyond it, the host forwards with its own address, as
//! it does for a single container ([`crate::network`]).

use std::{fs, net::Ipv4Addr};

use nix::errno::Errno;
use sandbox::Resource;

use crate::{
    Error,
    nat::{self, Reach},
    netlink::{CREATE, HEADER, Message, Netlink, attribute, link, text},
    network,
    spec::network::PREFIX_OF_BRIDGES,
};

pub use crate::spec::network::DEFAULT_BRIDGE;

/// The name of the bridge of the network with this id, which begins with eleven hexadecimal digits.
pub fn name_of(id: &str) -> String {
    format!("{PREFIX_OF_BRIDGES}{}", id.get(..11).unwrap_or(id))
}

/// Makes the bridge `name` with the host's address in its network, and sets it up. A bridge that
/// exists is completed.
///
/// # Errors
///
/// When the kernel has no bridges, the caller may not make one, or a link of another kind has the
/// name.
pub fn create(name: &str, address: Ipv4Addr, prefix: u8, mtu: u32) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    if !exists(name)? {
        let message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
            .attribute(libc::IFLA_IFNAME, &text(name))
            // Otherwise it would have that of one of its ports, and change with them.
            .attribute(libc::IFLA_ADDRESS, &mac_of(address))
            .attribute(libc::IFLA_MTU, &mtu.to_ne_bytes())
            .nested(libc::IFLA_LINKINFO, |info| info.attribute(libc::IFLA_INFO_KIND, KIND));
        netlink.request("create a bridge", message)?;
        no_ipv6(name);
    }
    let index = netlink.index_of(name)?;
    match netlink.add_address(index, address, prefix) {
        Err(Error::Call { errno: Errno::EEXIST, .. }) => {}
        added => added?,
    }
    netlink.set_up(index)
}

/// Whether there is a bridge of that name.
///
/// # Errors
///
/// When a link of another kind has the name.
pub fn exists(name: &str) -> Result<bool, Error> {
    let message = Message::new(libc::RTM_GETLINK, 0, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(name));
    let found = match Netlink::open()?.request("find a bridge", message) {
        Err(Error::Call { errno: Errno::ENODEV, .. }) => return Ok(false),
        found => found?,
    };
    let kind = attribute(&found, HEADER + 16, libc::IFLA_LINKINFO)
        .and_then(|info| attribute(info, 0, libc::IFLA_INFO_KIND));
    match kind.map(|kind| kind.strip_suffix(&[0]).unwrap_or(kind)) == Some(KIND) {
        true => Ok(true),
        false => Err(Error::NotBridge { name: name.to_owned() }),
    }
}

/// The host's address in the network of the bridge `name`, and the length of the network's prefix;
/// `None` if there is no such link, or it has no address.
///
/// # Errors
///
/// When the addresses of this host cannot be read.
pub fn address(name: &str) -> Result<Option<(Ipv4Addr, u8)>, Error> {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    const ADDRESS: usize = HEADER + 8;
    let mut netlink = Netlink::open()?;
    let Ok(index) = netlink.index_of(name) else { return Ok(None) };
    let body = [libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0];
    let message = Message::new(libc::RTM_GETADDR, 0, &body);
    let listed = netlink.dump("list the addresses of this host", message)?;
    let of_the_bridge = |one: &Vec<u8>| {
        let (bits, at) = (*one.get(HEADER + 1)?, one.get(HEADER + 4..HEADER + 8)?);
        let octets: [u8; 4] = attribute(one, ADDRESS, libc::IFA_LOCAL)?.try_into().ok()?;
        (at == index.to_ne_bytes()).then_some((octets.into(), bits))
    };
    Ok(listed.iter().find_map(of_the_bridge))
}

/// Removes the bridge `name` and the rules for it; it is not an error if it does not exist. Its
/// ports stay, without a bridge.
///
/// # Errors
///
/// When the caller may not.
pub fn remove(name: &str) -> Result<(), Error> {
    // Where no rules could be written, none can be removed.
    let _ = nat::disconnect(&nat::table_of(name));
    network::remove_link(name)
}

/// What of a bridge outlives its maker.
pub fn resources(name: &str) -> [Resource; 2] {
    [Resource::Link(name.to_owned()), Resource::Table(nat::table_of(name))]
}

/// Lets the containers of the bridge's network, an address and the length of the prefix, reach other
/// networks, with the host's address if `masquerade`, and no one else reach them; until the bridge
/// is removed. Returns why this is not enough, if a chain
/// of the host drops forwarded packets.
///
/// # Errors
///
/// When the kernel lacks a feature or the caller may not; then they reach only each other and the
/// host.
pub fn open_the_way(
    name: &str,
    network: (Ipv4Addr, u8),
    masquerade: bool,
) -> Result<Option<String>, Error> {
    let masqueraded = masquerade.then_some(network);
    let reach = nat::connect_bridge(name, masqueraded, &network::ways()?)?;
    Ok(match reach {
        Reach::Further => None,
        Reach::UpTo { table, chain } => Some(format!(
            "{chain} of the host's table {table} drops what no rule of its own accepts: {}",
            network::accept_in(&chain)
        )),
    })
}

/// Lets nothing through between the bridge's network and others, even if this host forwards
/// packets; until the bridge is removed.
///
/// # Errors
///
/// When the kernel lacks a feature or the caller may not.
pub fn isolate(name: &str) -> Result<(), Error> {
    nat::isolate_bridge(name)
}

/// The hardware address of a link with that address, as Docker forms it: locally administered, and
/// the same whenever the address is given to another container.
pub fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// Leaves the link without any IPv6 address, in the network namespace of this thread.
pub(crate) fn no_ipv6(name: &str) {
    // A kernel may have no IPv6, and a container read-only settings: then at most a link-local
    // address is there.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
}

/// The kind of such links.
const KIND: &[u8] = b"bridge";
