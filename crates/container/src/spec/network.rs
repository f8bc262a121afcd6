//! The network of a container.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// A network namespace of its own, with only the loopback link.
    #[default]
    None,
    /// The host's: no network namespace.
    Host,
    /// A network namespace of its own, with a pair of links to the host.
    Veth,
    /// A network namespace of its own, with links into bridges of the host: `WayOut::links`.
    Bridge,
}

/// A link between a container and a bridge of the host: a pair, of which one end is a port of the
/// bridge and the other one is inside (veth(4)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeLink {
    /// The bridge, which exists: see `container::bridge`.
    pub bridge: String,
    /// The name of the host's end: `iso` and eight hexadecimal digits, so that `isolab clean` knows
    /// it as isolab's.
    pub host_name: String,
    /// The name of the end inside: `eth0`.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The length of the network's prefix, in bits.
    pub prefix: u8,
    /// The address by which other networks are reached, usually the bridge's; `None` if none are.
    pub gateway: Option<Ipv4Addr>,
    /// Whether the default route leads over this link. It needs a gateway.
    pub is_default_route: bool,
    /// The hardware address of the end inside.
    pub mac: [u8; 6],
    /// The largest packet in bytes, without the Ethernet header.
    pub mtu: u32,
}

impl BridgeLink {
    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        const MULTICAST: u8 = 1;
        if !is_link_name(&self.bridge) || !is_link_name(&self.name) {
            return Some("a name of a link has 1 to 15 characters, without spaces and slashes");
        }
        if !is_host_end(&self.host_name) {
            return Some("the name of the host's end is iso and eight hexadecimal digits");
        }
        if !(1..=32).contains(&self.prefix) {
            return Some("the prefix of a network has 1 to 32 bits");
        }
        if self.is_default_route && self.gateway.is_none() {
            return Some("a default route needs a gateway");
        }
        if self.mac == [0; 6] || self.mac[0] & MULTICAST != 0 {
            return Some("the hardware address is not that of one link");
        }
        // The smallest that IPv4 requires (RFC 791), and the largest of a veth.
        let is_possible = (68..=65535).contains(&self.mtu);
        (!is_possible).then_some("the largest packet is 68 to 65535 bytes")
    }
}

/// The prefix of the names of the host's ends; eight hexadecimal digits follow.
pub(crate) const PREFIX_OF_NAMES: &str = "iso";

/// Whether it is the name of a host's end that isolab makes.
pub(crate) fn is_host_end(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX_OF_NAMES).unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The bridge of the network that containers are in if they name none.
pub const DEFAULT_BRIDGE: &str = "isolab0";
/// The prefix of the names of other bridges; eleven hexadecimal digits follow.
pub(crate) const PREFIX_OF_BRIDGES: &str = "iso-";

/// Whether it is the name of a link that isolab makes: a host's end, or a bridge.
pub(crate) fn is_our_link(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX_OF_BRIDGES).unwrap_or_default();
    let is_bridge = digits.len() == 11 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_bridge || name == DEFAULT_BRIDGE || is_host_end(name)
}

/// Whether the kernel accepts it as the name of a link (`dev_valid_name`).
pub fn is_link_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && ![".", ".."].contains(&name)
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte))
}

/// A published port: a port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The host's address; unspecified means all its addresses.
    pub address: Ipv4Addr,
    /// Its port.
    pub host_port: u16,
    /// The port inside.
    pub port: u16,
    /// Whether it is UDP; otherwise it is TCP.
    pub udp: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_links_would_be_removed() {
        for own in ["iso0a1b2c3c", "isolab0", "iso-0a1b2c3d4e5"] {
            assert!(is_our_link(own) && is_link_name(own), "{own}");
        }
        let others = ["eth0", "lo", "isolated0", "iso", "isoxxxxxxxx", "iso-0a1b2c3c", "isolab1"];
        for other in others {
            assert!(!is_our_link(other), "{other}");
        }
    }

    #[test]
    fn a_link_that_the_kernel_would_refuse_is_found_before() {
        let good = BridgeLink {
            bridge: "isolab0".into(),
            host_name: "isoe0000001".into(),
            name: "eth0".into(),
            address: Ipv4Addr::new(172, 17, 0, 2),
            prefix: 16,
            gateway: None,
            is_default_route: false,
            mac: [2, 0x42, 172, 17, 0, 2],
            mtu: 1500,
        };
        assert_eq!(good.problem(), None);
        for name in ["", ".", "..", "a/b", "a b", "a:1", "sixteen-letters.", "eth%d", "\u{e9}"] {
            assert!(BridgeLink { name: name.into(), ..good.clone() }.problem().is_some(), "{name}");
            let bridge = BridgeLink { bridge: name.into(), ..good.clone() };
            assert!(bridge.problem().is_some(), "{name}");
        }
        let bad = [
            BridgeLink { host_name: "eth0".into(), ..good.clone() },
            BridgeLink { prefix: 0, ..good.clone() },
            BridgeLink { prefix: 33, ..good.clone() },
            BridgeLink { is_default_route: true, ..good.clone() },
            BridgeLink { mac: [1, 0, 0, 0, 0, 1], ..good.clone() },
            BridgeLink { mtu: 20, ..good },
        ];
        assert!(bad.iter().all(|link| link.problem().is_some()));
    }
}
