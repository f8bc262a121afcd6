//! Question 5, second part: the network. A new network namespace has one link, `lo`, and it is down.
//!
//! ```text
//!   host                            container
//!   iso1a2b3c4d  10.7.3.1/30 ------ eth0  10.7.3.2/30      what goes in at one end of a veth
//!                                                         comes out at the other (veth(4))
//! ```
//!
//! There is no bridge and no address translation: the host reaches the container and the container
//! the host. Both links die with the container's network namespace.

use std::{
    fs,
    net::Ipv4Addr,
    os::fd::AsFd,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nix::sched::{CloneFlags, setns};
use sandbox::Question::WayOut;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::{call, file},
    namespaces::Namespaces,
    netlink::Netlink,
    plan::Plan,
    rootfs::Root,
    spec::Spec,
};

/// What a container sees of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// Its own, with the loop-back link only.
    #[default]
    None,
    /// The host's: no network namespace.
    Host,
    /// Its own, with a pair of links to the host.
    Veth,
}

/// A link between the host and one sandbox, as it is planned: a name that only isolab gives, and a
/// network of two addresses that no route of this host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The host's end.
    pub name: String,
    /// The host's address.
    pub host: Ipv4Addr,
    /// The address inside.
    pub inside: Ipv4Addr,
}

/// A pair of links that the launcher has planned.
#[derive(Debug)]
pub(crate) struct Veth(Link);

/// So many bits of both addresses are the network's.
pub const PREFIX: u8 = 30;
/// The name of the container's end.
const INSIDE: &str = "eth0";

impl Link {
    /// Chooses a name and a network.
    ///
    /// # Errors
    ///
    /// When the routes of this host cannot be read, or none of many networks is free.
    pub fn plan() -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Different launchers begin at different places; a collision is seen among the routes.
        let start =
            std::process::id().wrapping_mul(0x9e37_79b1).wrapping_add(COUNT.fetch_add(1, Relaxed));
        let path = "/proc/self/net/route";
        let routes = parse_routes(&fs::read_to_string(path).map_err(file("read", path))?);
        let networks = (0..1 << 12).map(|step| {
            // 10.0.0.0/8 has 2^22 networks of four addresses.
            let number = start.wrapping_add(step * 0x1f35) & 0x3f_ffff;
            0x0a00_0000 | number << 2
        });
        let free = |network: &u32| {
            !routes.iter().any(|(route, mask)| network & mask == *route && *mask != 0)
        };
        let network = networks.into_iter().find(free).ok_or(Error::NoAddress)?;
        Ok(Self {
            name: format!("iso{network:08x}"),
            host: Ipv4Addr::from(network + 1),
            inside: Ipv4Addr::from(network + 2),
        })
    }

    /// Gives the host's end, which is there, its address, and sets it up: one of a pair, or the tap
    /// of a virtual machine.
    ///
    /// # Errors
    ///
    /// When there is no such link, or the caller may not.
    pub fn raise(&self) -> Result<(), Error> {
        let mut outside = Netlink::open()?;
        let index = outside.index_of(&self.name)?;
        outside.add_address(index, self.host, PREFIX)?;
        outside.set_up(index)
    }
}

impl Veth {
    /// Chooses a name and a network.
    pub(crate) fn plan() -> Result<Self, Error> {
        Link::plan().map(Self)
    }

    /// The host's end.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes the pair, with one end in the network namespace of process `pid`, and sets both up.
    pub(crate) fn connect(&self, pid: i32) -> Result<(), Error> {
        let Self(link) = self;
        Netlink::open()?.create_veth(&link.name, INSIDE, pid)?;
        link.raise()?;
        let mut inside = socket_inside(pid)?;
        // Not the first after `lo` everywhere: a kernel with tunnels puts those into every network.
        let index = inside.index_of(INSIDE)?;
        inside.add_address(index, link.inside, PREFIX)?;
        inside.set_up(index)?;
        inside.add_default_route(link.host)
    }
}

/// A netlink socket belongs to the network namespace in which it was opened; this thread goes there
/// for a moment.
fn socket_inside(pid: i32) -> Result<Netlink, Error> {
    let open = |path: String| fs::File::open(&path).map_err(file("open", path));
    let (ours, theirs) =
        (open("/proc/thread-self/ns/net".into())?, open(format!("/proc/{pid}/ns/net"))?);
    setns(theirs.as_fd(), CloneFlags::CLONE_NEWNET)
        .map_err(call("setns to the container's network"))?;
    let socket = Netlink::open();
    setns(ours.as_fd(), CloneFlags::CLONE_NEWNET)
        .map_err(call("setns back to the host's network"))?;
    socket
}

/// Removes the link `name`; one that is not there is removed already.
pub(crate) fn remove_link(name: &str) -> Result<(), Error> {
    Netlink::open()?.delete(name)
}

/// Whether this is a name that [`Veth::plan`] gives.
pub(crate) fn is_our_link(name: &str) -> bool {
    let digits = name.strip_prefix("iso").unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The child's steps in a network namespace of its own: the loop-back link comes up (netdevice(7)). A
/// program from memory with an empty root has no use for it.
pub(crate) fn raise_loopback(plan: &mut Plan, spec: &Spec, namespaces: &Namespaces) {
    if !namespaces.net.is_new() || spec.inside.root == Root::Empty {
        return;
    }
    let kind = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize;
    plan.step(WayOut, "socket to set up lo", libc::SYS_socket, [libc::AF_INET as usize, kind, 0]);
    let socket = plan.result();
    // struct ifreq: 16 bytes of name, then the flags.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&(libc::IFF_UP as u16).to_ne_bytes());
    let request = plan.keep(request);
    let arguments = [socket.operand(), libc::SIOCSIFFLAGS as usize, request];
    plan.step(WayOut, "ioctl SIOCSIFFLAGS lo up", libc::SYS_ioctl, arguments);
}

/// Destination and mask of each route, as host numbers: `/proc/net/route` has them in hexadecimal,
/// in the byte order of the network.
fn parse_routes(text: &str) -> Vec<(u32, u32)> {
    let number = |field: &str| Some(u32::from_str_radix(field, 16).ok()?.swap_bytes());
    let route = |line: &str| {
        let mut fields = line.split_whitespace();
        let destination = number(fields.nth(1)?)?;
        Some((destination, number(fields.nth(5)?)?))
    };
    text.lines().skip(1).filter_map(route).collect()
}

impl Drop for Veth {
    fn drop(&mut self) {
        // The pair dies with the container's namespace, but only some time after it; a name that
        // is free again at once is worth a message. It fails when the pair is gone already.
        let _ = remove_link(self.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_in_the_order_of_the_network() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                    eth0\t0000010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(parse_routes(text), [(0x0a01_0000, 0xffff_ff00)]);
    }

    #[test]
    fn only_our_own_links_would_be_removed() {
        assert!(is_our_link("iso0a1b2c3c"));
        for other in ["eth0", "lo", "isolated0", "iso", "isoxxxxxxxx"] {
            assert!(!is_our_link(other), "{other}");
        }
    }
}
