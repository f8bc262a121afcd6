//! Question 5, second part: the network. A new network namespace has one link, `lo`, and it is down.
//!
//! ```text
//!   host                            container
//!   iso1a2b3c4d  10.7.3.1/30 ------ eth0  10.7.3.2/30      what goes in at one end of a veth
//!                                                         comes out at the other (veth(4))
//! ```
//!
//! There is no bridge. The host forwards packets to other networks with its own address (`nat`), if
//! its kernel can and the caller may; otherwise the container reaches only the host. Both links
//! disappear with the container's network namespace.

use std::{borrow::Cow, net::Ipv4Addr, path::Path};

use nix::errno::Errno;
use sandbox::{Question::WayOut, Resource, Trace};

use crate::{
    Error, lookup,
    nat::{self, Reach},
    net_namespace::NetNamespace,
    netlink::Netlink,
    nftables,
    plan::SyscallPlan,
    privileges,
    spec::{
        Spec,
        namespaces::Namespaces,
        network::{PREFIX_OF_NAMES, is_our_link},
        root::Root,
    },
    subnet::{self, Subnet, link_name},
};

pub use crate::{
    spec::network::{BridgeLink, DEFAULT_BRIDGE, Network, Published, is_link_name},
    subnet::PREFIX,
};

/// A planned link between the host and one sandbox: a name of isolab's own, and a network of two
/// addresses that no route of this host covers. No other launcher chooses the same while it lives.
#[derive(Debug)]
pub struct Link {
    /// The host's end.
    pub name: String,
    /// The host's address.
    pub host: Ipv4Addr,
    /// The address inside.
    pub inside: Ipv4Addr,
    _subnet: Subnet,
}

/// A planned pair of links, and its published ports.
#[derive(Debug)]
pub(crate) struct Veth {
    link: Link,
    published: Vec<Published>,
}

/// How far a container with a link to the host gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beyond {
    /// Beyond the host, as far as the host itself.
    Reached,
    /// Only as far as the host: the kernel lacks a feature, or the caller may not.
    HostOnly {
        /// Why.
        why: String,
    },
    /// Only as far as the host, unless one of its rules accepts forwarded packets.
    Dropped {
        /// The chain that drops it.
        chain: String,
        /// The chain's table.
        table: String,
    },
}

/// Finds out how far a container with a link to this host would get, without changing the host.
pub fn beyond_the_host() -> Beyond {
    match (nat::try_out(), nat::dropping_chain()) {
        (Err(error), _) => Beyond::HostOnly { why: sandbox::chain(&error) },
        (Ok(()), Some((table, chain))) => Beyond::Dropped { chain, table },
        (Ok(()), None) => Beyond::Reached,
    }
}

/// The commands that let a chain of the host accept packets from and to containers.
pub fn accept_in(chain: &str) -> String {
    let rule = |way: &str| format!("sudo iptables -I {chain} {way} {PREFIX_OF_NAMES}+ -j ACCEPT");
    format!("{} && {}", rule("-i"), rule("-o"))
}

/// The name of the container's end.
const INSIDE: &str = "eth0";

impl Link {
    /// Chooses a name and a network.
    ///
    /// # Errors
    ///
    /// When the routes of this host cannot be read, or no private network is free.
    pub fn plan() -> Result<Self, Error> {
        // The table of a killed launcher counts like a link: `isolab clean` removes it.
        let tables = nftables::tables().unwrap_or_default();
        let is_taken = |network| tables.contains(&nat::table_of(&link_name(network)));
        let subnet = Subnet::take(is_taken)?;
        let network = subnet.network;
        Ok(Self {
            name: link_name(network),
            host: Ipv4Addr::from(network + 1),
            inside: Ipv4Addr::from(network + 2),
            _subnet: subnet,
        })
    }

    /// Gives the existing host's end its address, and sets it up: one of a pair, or the tap of a
    /// virtual machine.
    ///
    /// # Errors
    ///
    /// When there is no such link, or the caller may not change it.
    pub fn raise(&self) -> Result<(), Error> {
        let mut outside = Netlink::open()?;
        let index = outside.index_of(&self.name)?;
        outside.add_address(index, self.host, PREFIX)?;
        outside.set_up(index)
    }

    /// What outlives this process if [`Link::open_the_way`] is called; it has to be in the ledger
    /// before.
    pub fn resource(&self) -> Resource {
        Resource::Table(nat::table_of(&self.name))
    }

    /// Lets the host forward packets of the link, which is up, until [`Link::close_the_way`].
    ///
    /// # Errors
    ///
    /// When the kernel lacks a feature or the caller may not; then the other end reaches only the
    /// host.
    pub fn open_the_way(&self, published: &[Published]) -> Result<Cow<'static, str>, Error> {
        let ways = ways()?;
        let reach = nat::connect(&self.name, self.inside, &ways, published)?;
        let masquerade = format!("nf_tables: masquerade {} beyond the host", self.inside);
        Ok(match reach {
            Reach::Further => masquerade.into(),
            Reach::UpTo { table, chain } => format!(
                "{masquerade}; but {chain} of the host's table {table} drops what no rule of its own \
                 accepts: {}",
                accept_in(&chain)
            )
            .into(),
        })
    }

    /// Removes what [`Link::open_the_way`] has made.
    pub fn close_the_way(&self) {
        // If nothing was made there is nothing to remove; what is left is in the ledger for `isolab
        // clean`.
        let _ = nat::disconnect(&nat::table_of(&self.name));
    }
}

impl Veth {
    /// Chooses a name and a network.
    pub(crate) fn plan(published: &[Published]) -> Result<Self, Error> {
        Ok(Self { link: Link::plan()?, published: published.to_vec() })
    }

    /// The link between host and container.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// What outlives the launcher.
    pub(crate) fn resources(&self) -> [Resource; 2] {
        [Resource::Link(self.link.name.clone()), self.link.resource()]
    }

    /// Makes the pair, with one end in the network namespace of process `pid`, and sets both up.
    pub(crate) fn connect(&self, pid: i32) -> Result<(), Error> {
        let link = &self.link;
        Netlink::open()?.create_veth(&link.name, INSIDE, pid)?;
        link.raise()?;
        let mut inside = socket_inside(pid)?;
        // Not always the first one after `lo`: some kernels put tunnel links into every network
        // namespace.
        let index = inside.index_of(INSIDE)?;
        inside.add_address(index, link.inside, PREFIX)?;
        inside.set_up(index)?;
        inside.add_default_route(link.host)
    }

    /// Lets it reach more than the host, if possible. With published ports, failure is an error.
    pub(crate) fn open_the_way(&self, trace: &mut Trace) -> Result<(), Error> {
        let open = || self.link.open_the_way(&self.published);
        let recorded = trace.entries.len();
        let opened = trace.record(WayOut, "nf_tables", open);
        let words = match opened {
            Err(error) if !self.published.is_empty() => return Err(error),
            Err(error) => {
                // A part of it may have been made.
                self.link.close_the_way();
                format!("only the host is reached: {}", sandbox::chain(&error)).into()
            }
            Ok(words) => words,
        };
        if let Some(entry) = trace.entries.get_mut(recorded) {
            entry.event = words.into();
        }
        Ok(())
    }
}

/// The links by which this host reaches other networks, except those to sandboxes.
pub(crate) fn ways() -> Result<Vec<String>, Error> {
    let mut netlink = Netlink::open()?;
    let mut ways = Vec::new();
    for index in subnet::routes()?.links {
        // A link that has gone meanwhile is skipped.
        let Ok(name) = netlink.name_of(index) else { continue };
        if name != "lo" && !is_our_link(&name) && !ways.contains(&name) {
            ways.push(name);
        }
    }
    Ok(ways)
}

/// The networks that a route of this host leads to, and the lengths of their prefixes, except the
/// default routes.
///
/// # Errors
///
/// When the routes cannot be read.
pub fn routes() -> Result<Vec<(Ipv4Addr, u8)>, Error> {
    let destinations = subnet::routes()?.destinations.into_iter();
    let specific = destinations.filter(|(_, bits)| *bits >= subnet::WIDEST);
    Ok(specific.map(|(address, bits)| (address.into(), bits)).collect())
}

/// A netlink socket belongs to the network namespace in which it was opened, so this thread enters
/// that one for a moment.
fn socket_inside(pid: i32) -> Result<Netlink, Error> {
    NetNamespace::of_pid(pid)?.run(Netlink::open)?
}

/// Removes the link `name`; it is not an error if it does not exist.
pub(crate) fn remove_link(name: &str) -> Result<(), Error> {
    Netlink::open()?.delete(name)
}

/// The child's steps in a network namespace of its own. A program from memory with an empty root
/// does not need them.
pub(crate) fn set_up_inside(
    plan: &mut SyscallPlan,
    spec: &Spec,
    namespaces: &Namespaces,
) -> Result<(), Error> {
    if !namespaces.net.is_new() || spec.inside.root == Root::Empty {
        return Ok(());
    }
    raise_loopback(plan);
    match spec.way_out.network {
        Network::Veth | Network::Bridge => let_everybody_ping(plan, spec, namespaces),
        Network::None | Network::Host => Ok(()),
    }
}

/// Allows sockets for echo requests only, to every group that is mapped inside (icmp(7)): then
/// `ping` needs no capability. CAP_NET_RAW, which other runtimes keep for it, would allow forged
/// packets.
fn let_everybody_ping(
    plan: &mut SyscallPlan,
    spec: &Spec,
    namespaces: &Namespaces,
) -> Result<(), Error> {
    // Within a container, /proc/sys may be read-only.
    const REFUSED: &[Errno] = &[Errno::ENOENT, Errno::EROFS, Errno::EACCES, Errno::EPERM];
    let last = privileges::last_group(spec.power.id_maps.as_ref(), namespaces.user.is_new());
    let range = format!("0 {last}");
    lookup::open_of_host_to_write(plan, Path::new("/proc/sys/net/ipv4/ping_group_range"))?;
    let file = plan.result();
    plan.unless_failed(REFUSED, |plan| {
        let arguments = [file.operand(), plan.keep(&range), range.len()];
        plan.step(WayOut, format!("ping_group_range {range}"), libc::SYS_write, arguments);
    });
    Ok(())
}

/// Sets the loopback link up (netdevice(7)).
fn raise_loopback(plan: &mut SyscallPlan) {
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

impl Drop for Veth {
    fn drop(&mut self) {
        // The pair disappears with the container's namespace, but some time later; deleting it
        // frees the name immediately. It fails if the pair is already gone.
        self.link.close_the_way();
        let _ = remove_link(&self.link.name);
    }
}
