//! A network of four addresses for a link: one that no route of this host covers, and that no other
//! launcher takes meanwhile.

use std::{
    net::Ipv4Addr,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{
    Error,
    netlink::{self, HEADER, Message, Netlink},
    spec::network::PREFIX_OF_NAMES,
};

/// The prefix length of both addresses.
pub const PREFIX: u8 = 30;

/// The private networks, in the order in which they are tried: those of RFC 1918, and that of RFC
/// 6598 for carrier-grade NAT. A VPN usually covers one of them, rarely all.
const POOLS: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];

/// A route with a shorter prefix is a default route: 0.0.0.0/0, or the pair 0.0.0.0/1 and
/// 128.0.0.0/1 by which a VPN overrides it. The route of a link takes precedence over them.
pub(crate) const WIDEST: u8 = 8;

/// A network that is reserved for this process while this lives.
#[derive(Debug)]
pub(crate) struct Subnet {
    /// Its address; the last two bits are zero.
    pub(crate) network: u32,
    _taken: OwnedFd,
}

impl Subnet {
    /// Takes a network that no route covers and that is not `in_use` otherwise.
    pub(crate) fn take(in_use: impl Fn(u32) -> bool) -> Result<Self, Error> {
        let mut routes = routes()?;
        for network in candidates() {
            if is_in_use(network, &routes.destinations) || in_use(network) {
                continue;
            }
            let Some(taken) = take_name(&format!("{network:08x}")) else { continue };
            // The previous owner of the name may have made its link meanwhile.
            routes = self::routes()?;
            if !is_in_use(network, &routes.destinations) {
                return Ok(Self { network, _taken: taken });
            }
        }
        let mut leading: Vec<String> =
            routes.destinations.iter().filter(covers_a_pool).map(written).collect();
        leading.sort();
        leading.dedup();
        Err(Error::NoAddress { routes: leading.join(", ") })
    }
}

/// A name in the network namespace that only one process can have at a time (unix(7), abstract
/// sockets): it is released whenever that process ends.
pub(crate) fn take_name(name: &str) -> Option<OwnedFd> {
    let name = SocketAddr::from_abstract_name(format!("isolab-{name}")).ok()?;
    UnixDatagram::bind_addr(&name).ok().map(OwnedFd::from)
}

/// Networks of each pool, in a random order.
fn candidates() -> impl Iterator<Item = u32> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // All of the two smaller pools, and of the others enough to find a free one.
    const OF_A_POOL: u32 = 1 << 16;
    let start =
        std::process::id().wrapping_mul(0x9e37_79b1).wrapping_add(COUNT.fetch_add(1, Relaxed));
    POOLS.into_iter().flat_map(move |(pool, bits)| {
        let networks = 1 << (PREFIX - bits);
        // An odd stride visits every element of a power of two.
        let number =
            move |step: u32| start.wrapping_add(step.wrapping_mul(0x1f35)) & (networks - 1);
        (0..OF_A_POOL.min(networks)).map(move |step| u32::from(pool) | number(step) << 2)
    })
}

/// The destinations of routes: networks and their prefix lengths.
pub(crate) struct Routes {
    pub(crate) destinations: Vec<(u32, u8)>,
    /// The indices of the links by which other hosts are reached.
    pub(crate) links: Vec<i32>,
}

/// The routes of all tables: a VPN may have its own table, and the host's own addresses have one.
pub(crate) fn routes() -> Result<Routes, Error> {
    const ROUTE: usize = HEADER + 12; // struct rtmsg
    let words = "list the routes of this host";
    let body = [libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let listed = Netlink::open()?.dump(words, Message::new(libc::RTM_GETROUTE, 0, &body))?;
    let mut found = Routes { destinations: Vec::new(), links: Vec::new() };
    for route in &listed {
        let (Some(&bits), Some(&kind)) = (route.get(HEADER + 1), route.get(HEADER + 7)) else {
            continue;
        };
        let number = |kind| netlink::attribute(route, ROUTE, kind)?.try_into().ok();
        let destination = number(libc::RTA_DST).map_or(0, u32::from_be_bytes);
        found.destinations.push((destination, bits));
        if kind == libc::RTN_UNICAST {
            found.links.extend(number(libc::RTA_OIF).map(i32::from_ne_bytes));
            let several = netlink::attribute(route, ROUTE, libc::RTA_MULTIPATH);
            found.links.extend(next_hops(several.unwrap_or_default()));
        }
    }
    Ok(found)
}

/// The links of a multipath route: `struct rtnexthop`, each beginning with its length.
fn next_hops(mut bytes: &[u8]) -> Vec<i32> {
    let mut links = Vec::new();
    while let [a, b, _, _, c, d, e, f, ..] = *bytes {
        links.push(i32::from_ne_bytes([c, d, e, f]));
        let length = usize::from(u16::from_ne_bytes([a, b])).max(8).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    links
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

/// Whether a route covers a part of the network of four addresses, or all of it.
fn is_in_use(network: u32, destinations: &[(u32, u8)]) -> bool {
    destinations.iter().any(|(destination, bits)| {
        *bits >= WIDEST && (network ^ destination) & mask(*bits.min(&PREFIX)) == 0
    })
}

/// Whether a route covers a part of a pool.
fn covers_a_pool((destination, bits): &&(u32, u8)) -> bool {
    let overlaps = |(pool, of_pool): &(Ipv4Addr, u8)| {
        (u32::from(*pool) ^ destination) & mask(*bits.min(of_pool)) == 0
    };
    (WIDEST..24).contains(bits) && POOLS.iter().any(overlaps)
}

fn written((destination, bits): &(u32, u8)) -> String {
    format!("{}/{bits}", Ipv4Addr::from(*destination))
}

/// The name of the host's end of the link with that network.
pub(crate) fn link_name(network: u32) -> String {
    format!("{PREFIX_OF_NAMES}{network:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(text: &str) -> (u32, u8) {
        let (address, bits) = text.split_once('/').unwrap();
        (u32::from(address.parse::<Ipv4Addr>().unwrap()), bits.parse().unwrap())
    }

    fn first_free(routes: &[&str]) -> Option<u32> {
        let routes: Vec<_> = routes.iter().copied().map(destination).collect();
        candidates().find(|network| !is_in_use(*network, &routes))
    }

    #[test]
    fn a_pool_that_a_route_leads_to_is_passed_over() {
        let octet = |network: Option<u32>| network.unwrap() >> 24;
        assert_eq!(octet(first_free(&["192.0.2.0/24"])), 10);
        assert_eq!(octet(first_free(&["10.0.0.0/8"])), 172);
        assert_eq!(octet(first_free(&["10.0.0.0/9", "10.128.0.0/9", "172.16.0.0/12"])), 192);
        let three = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
        assert_eq!(octet(first_free(&three)), 100);
        assert_eq!(first_free(&[&three[..], &["100.64.0.0/10"]].concat()), None);
    }

    #[test]
    fn the_way_to_the_rest_of_the_world_is_no_reason() {
        for wide in [&["0.0.0.0/0"][..], &["0.0.0.0/1", "128.0.0.0/1"], &["8.0.0.0/5"]] {
            assert_eq!(first_free(wide).unwrap() >> 24, 10, "{wide:?}");
        }
    }

    #[test]
    fn a_route_to_one_address_keeps_its_network() {
        for host in 0..4 {
            assert!(is_in_use(0x0a01_0204, &[(0x0a01_0204 + host, 32)]));
        }
        assert!(!is_in_use(0x0a01_0204, &[(0x0a01_0208, 32), (0x0a01_0200, 30)]));
    }

    #[test]
    fn no_two_processes_have_the_same_network_at_once() {
        let taken = take_name("0a010205").unwrap();
        assert!(take_name("0a010205").is_none());
        drop(taken);
        assert!(take_name("0a010205").is_some());
    }
}
