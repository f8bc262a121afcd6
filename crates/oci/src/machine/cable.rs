//! The pod's network for a guest: its link's address moves into the guest, by a tap.
//!
//! ```text
//!   node                 the pod's network namespace                guest
//!   cni0 ─── vethX ───── eth0 (no address) ─┬─ bridge ─┬─ tap ───── eth0  10.85.0.7/16
//!                                           └──────────┘
//! ```
//!
//! An engine gives a pod a link with an address (CNI). The guest gets both, the hardware address too,
//! so that the network sees what it has assigned.

use std::{fs, net::Ipv4Addr, path::Path, sync::Arc};

use container::{
    bridge,
    netlink::{CREATE, Message, Netlink, link, text},
};
use microvm::{
    devices::virtio::tap::Tap,
    linux::{Address, Card},
};
use nix::libc;

use crate::error::{Result, file, property};

/// The names of the tap and of the bridge, in the pod's namespace.
const TAP: &str = "isolab-tap";
const BRIDGE: &str = "isolab-bridge";

/// The card for the guest; `None` in a network namespace without a link to other hosts.
///
/// # Errors
///
/// When the link has no address, which another machine has then, and those of the kernel.
pub(super) fn card() -> Result<Option<Card>> {
    let Some(name) = outer_link()? else { return Ok(None) };
    let Some((address, prefix)) = bridge::address(&name)? else {
        let why = format!("the link {name} of the pod has no address: another machine has it");
        return Err(property("linux.namespaces", why));
    };
    let gateway = gateway(&name)?;
    let mac = mac_of(&name)?;
    let tap = Tap::create(TAP).map_err(sandbox::Error::from)?;
    connect(&name, address, prefix)?;
    let address = gateway.map(|gateway| Address { inside: address, prefix, gateway });
    Ok(Some(Card { tap: Arc::new(tap), mac, address }))
}

/// The first link but the loopback one that is up.
fn outer_link() -> Result<Option<String>> {
    // Of this process's own namespace, whichever `/sys` is mounted.
    let path = "/proc/self/net/dev";
    let text = fs::read_to_string(path).map_err(file("read", path))?;
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    let mut names = names.map(|(name, _)| name.trim().to_owned());
    let own = [TAP, BRIDGE, "lo"];
    Ok(names.find(|name| !own.contains(&&**name)))
}

/// Both links become ports of a bridge; the address is the guest's from now on.
fn connect(name: &str, address: Ipv4Addr, prefix: u8) -> Result<()> {
    let mut netlink = Netlink::open()?;
    let made = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(BRIDGE))
        .nested(libc::IFLA_LINKINFO, |info| info.attribute(libc::IFLA_INFO_KIND, b"bridge"));
    netlink.request("create a bridge for the guest", made)?;
    let (outer, tap) = (netlink.index_of(name)?, netlink.index_of(TAP)?);
    let bridge = netlink.index_of(BRIDGE)?;
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let mut body = vec![libc::AF_INET as u8, prefix, 0, 0];
    body.extend(outer.to_ne_bytes());
    let taken = Message::new(libc::RTM_DELADDR, 0, &body)
        .attribute(libc::IFA_LOCAL, &address.octets())
        .attribute(libc::IFA_ADDRESS, &address.octets());
    netlink.request("take the address of a link", taken)?;
    // Frames for the guest would otherwise be the link's own.
    let renamed = Message::new(libc::RTM_NEWLINK, 0, &link(outer, 0, 0))
        .attribute(libc::IFLA_ADDRESS, &of_our_own(address));
    netlink.request("give a link another hardware address", renamed)?;
    for port in [outer, tap] {
        let joined = Message::new(libc::RTM_NEWLINK, 0, &link(port, 0, 0))
            .attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes());
        netlink.request("make a link a port of a bridge", joined)?;
    }
    for port in [tap, bridge, outer] {
        netlink.set_up(port)?;
    }
    Ok(())
}

/// A hardware address that nobody has been assigned: the bit for local ones is set.
fn of_our_own(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x06, 0x49, a, b, c, d]
}

fn mac_of(name: &str) -> Result<[u8; 6]> {
    const HEADER: usize = 16;
    const LINK: usize = 16;
    let mut netlink = Netlink::open()?;
    let message = Message::new(libc::RTM_GETLINK, 0, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(name));
    let found = netlink.request("find the hardware address of a link", message)?;
    let mac = container::netlink::attribute(&found, HEADER + LINK, libc::IFLA_ADDRESS);
    mac.and_then(|mac| mac.try_into().ok())
        .ok_or_else(|| property("linux.namespaces", format!("the link {name} is not an Ethernet")))
}

/// Who knows the way to all others, by the routes of this namespace (proc_pid_net(5)).
fn gateway(name: &str) -> Result<Option<Ipv4Addr>> {
    let path = Path::new("/proc/self/net/route");
    let text = fs::read_to_string(path).map_err(file("read", path))?;
    Ok(default_gateway(&text, name))
}

fn default_gateway(routes: &str, name: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [link, destination, gateway, ..] = words[..] else { return None };
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        // Numbers in the byte order of the host, of addresses in the network's.
        (link == name && destination == "00000000" && gateway != 0)
            .then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_names_the_gateway() {
        let routes = "Iface\tDestination\tGateway\tFlags\nlo\t00000000\t0100007F\t3\n\
                      eth0\t0000550A\t00000000\t1\neth0\t00000000\t0100550A\t3\n";
        assert_eq!(default_gateway(routes, "eth0"), Some(Ipv4Addr::new(10, 85, 0, 1)));
        assert_eq!(default_gateway(routes, "eth1"), None);
    }
}
