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

use std::{
    fmt::{self, Display, Formatter},
    fs,
    net::Ipv4Addr,
    path::Path,
    str::FromStr,
    sync::Arc,
};

use container::{
    bridge,
    netlink::{CREATE, Message, Netlink, attribute, link, text},
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

/// What an engine has given to the pod, and the guest has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Assigned {
    address: Ipv4Addr,
    prefix: u8,
    mac: [u8; 6],
    gateway: Option<Ipv4Addr>,
}

/// The card for the guest; `None` in a network namespace without a link to other hosts.
///
/// # Errors
///
/// When another machine has the pod's address, and those of the kernel.
pub(super) fn card() -> Result<Option<Card>> {
    let Some(name) = outer_link()? else { return Ok(None) };
    // As long as a machine runs, it has the tap.
    let tap = Tap::create(TAP).map_err(sandbox::Error::from)?;
    let Assigned { address, prefix, mac, gateway } = match bridge::address(&name)? {
        Some((address, prefix)) => {
            let (mac, gateway) = (mac_of(&name)?, gateway(&name)?);
            let assigned = Assigned { address, prefix, mac, gateway };
            take(&name, &assigned)?;
            assigned
        }
        // An earlier machine of this pod has had it.
        None => noted(&name)?.ok_or_else(|| {
            property("linux.namespaces", format!("the pod's link {name} has no address"))
        })?,
    };
    connect(&name)?;
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

/// Takes the address and the hardware address of a link, and notes them in its alias for the next
/// machine in this namespace.
fn take(name: &str, assigned: &Assigned) -> Result<()> {
    let Assigned { address, prefix, .. } = *assigned;
    let mut netlink = Netlink::open()?;
    let index = netlink.index_of(name)?;
    // Frames for the guest would otherwise be the link's own.
    let changed = Message::new(libc::RTM_NEWLINK, 0, &link(index, 0, 0))
        .attribute(libc::IFLA_IFALIAS, &text(&assigned.to_string()))
        .attribute(libc::IFLA_ADDRESS, &of_our_own(address));
    netlink.request("give a link another hardware address", changed)?;
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let mut body = vec![libc::AF_INET as u8, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    let taken = Message::new(libc::RTM_DELADDR, 0, &body)
        .attribute(libc::IFA_LOCAL, &address.octets())
        .attribute(libc::IFA_ADDRESS, &address.octets());
    netlink.request("take the address of a link", taken)?;
    Ok(())
}

/// The link and the tap become ports of a bridge.
fn connect(name: &str) -> Result<()> {
    let mut netlink = Netlink::open()?;
    if netlink.index_of(BRIDGE).is_err() {
        let made = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
            .attribute(libc::IFLA_IFNAME, &text(BRIDGE))
            .nested(libc::IFLA_LINKINFO, |info| info.attribute(libc::IFLA_INFO_KIND, b"bridge"));
        netlink.request("create a bridge for the guest", made)?;
    }
    let bridge = netlink.index_of(BRIDGE)?;
    for name in [name, TAP] {
        let port = netlink.index_of(name)?;
        let joined = Message::new(libc::RTM_NEWLINK, 0, &link(port, 0, 0))
            .attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes());
        netlink.request("make a link a port of a bridge", joined)?;
        netlink.set_up(port)?;
    }
    Ok(netlink.set_up(bridge)?)
}

impl Display for Assigned {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { address, prefix, mac, gateway } = self;
        let gateway = gateway.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let [a, b, c, d, e, f] = mac;
        write!(formatter, "isolab {address} {prefix} {gateway} ")?;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for Assigned {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["isolab", address, prefix, gateway, mac] = words[..] else { return Err(()) };
        let parts = mac.split(':').map(|part| u8::from_str_radix(part, 16));
        let mac: std::result::Result<Vec<u8>, _> = parts.collect();
        let gateway: Ipv4Addr = gateway.parse().map_err(drop)?;
        Ok(Self {
            address: address.parse().map_err(drop)?,
            prefix: prefix.parse().map_err(drop)?,
            mac: mac.map_err(drop)?.try_into().map_err(drop)?,
            gateway: Some(gateway).filter(|gateway| !gateway.is_unspecified()),
        })
    }
}

/// What [`take`] has noted.
fn noted(name: &str) -> Result<Option<Assigned>> {
    let found = attribute_of(name, libc::IFLA_IFALIAS)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&found);
    Ok(text.trim_end_matches('\0').parse().ok())
}

/// A hardware address that nobody has been assigned: the bit for local ones is set.
fn of_our_own(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x06, 0x49, a, b, c, d]
}

fn mac_of(name: &str) -> Result<[u8; 6]> {
    let mac = attribute_of(name, libc::IFLA_ADDRESS)?.and_then(|mac| mac.try_into().ok());
    mac.ok_or_else(|| property("linux.namespaces", format!("the link {name} is not an Ethernet")))
}

/// What the kernel says of a link under `kind` (rtnetlink(7), "RTM_GETLINK").
fn attribute_of(name: &str, kind: u16) -> Result<Option<Vec<u8>>> {
    // Each struct nlmsghdr and ifinfomsg.
    const HEADERS: usize = 16 + 16;
    let message = Message::new(libc::RTM_GETLINK, 0, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(name));
    let found = Netlink::open()?.request("look at a link", message)?;
    Ok(attribute(&found, HEADERS, kind).map(<[u8]>::to_vec))
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
    fn what_is_noted_is_read_again() {
        let address = Ipv4Addr::new(10, 85, 0, 7);
        for gateway in [None, Some(Ipv4Addr::new(10, 85, 0, 1))] {
            let assigned = Assigned { address, prefix: 16, mac: [2, 0, 0xab, 0, 0, 1], gateway };
            assert_eq!(assigned.to_string().parse(), Ok(assigned));
        }
        for alias in ["", "uplink", "isolab", "isolab 10.85.0.7 16 0.0.0.0 02:00", "isolab x"] {
            assert!(alias.parse::<Assigned>().is_err(), "{alias}");
        }
    }

    #[test]
    fn the_default_route_names_the_gateway() {
        let routes = "Iface\tDestination\tGateway\tFlags\nlo\t00000000\t0100007F\t3\n\
                      eth0\t0000550A\t00000000\t1\neth0\t00000000\t0100550A\t3\n";
        assert_eq!(default_gateway(routes, "eth0"), Some(Ipv4Addr::new(10, 85, 0, 1)));
        assert_eq!(default_gateway(routes, "eth1"), None);
    }
}
