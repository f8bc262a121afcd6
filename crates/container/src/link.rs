//! Links into bridges, also of containers that are running already.

use std::thread;

use sandbox::Process;

use crate::{
    Error, bridge,
    net_namespace::NetNamespace,
    netlink::{CREATE, Message, Netlink, VETH_INFO_PEER, link, text},
    network,
    spec::network::BridgeLink,
};

/// Makes the link in the network namespace of the process `inside`, which runs: `docker network
/// connect`.
///
/// # Errors
///
/// When the process has ended, the bridge does not exist, or one of the names is taken.
pub fn connect(inside: &Process, new: &BridgeLink) -> Result<(), Error> {
    if let Some(why) = new.problem() {
        return Err(Error::Link { name: new.name.clone(), why });
    }
    let namespace = NetNamespace::of(inside)?;
    on_its_own_thread(|| make(&namespace, new))
}

/// Removes the link with that name on the host, with both its ends; it is not an error if it does
/// not exist: `docker network disconnect`.
///
/// # Errors
///
/// When the caller may not.
pub fn disconnect(host_name: &str) -> Result<(), Error> {
    network::remove_link(host_name)
}

/// Makes the default route of the process `inside` lead over `by`, a link that it has.
///
/// # Errors
///
/// When the process has ended, the link does not exist, or it has no gateway.
pub fn set_default_route(inside: &Process, by: &BridgeLink) -> Result<(), Error> {
    let namespace = NetNamespace::of(inside)?;
    let socket = on_its_own_thread(|| namespace.run(Netlink::open)?);
    add_default_route(&mut socket?, by)
}

/// A thread that cannot return from another namespace is not the caller's.
fn on_its_own_thread<R: Send>(work: impl FnOnce() -> Result<R, Error> + Send) -> Result<R, Error> {
    thread::scope(|scope| {
        let done = scope.spawn(work).join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Makes the pair, with one end in the namespace `inside`, and sets both up.
pub(crate) fn make(inside: &NetNamespace, new: &BridgeLink) -> Result<(), Error> {
    let mut outside = Netlink::open()?;
    let bridge = outside.index_of(&new.bridge)?;
    outside.request("create a pair of links with a bridge", pair(inside, new, bridge))?;
    let made = set_up(&mut outside, inside, new);
    if made.is_err() {
        // The pair would otherwise stay until the namespace is gone.
        let _ = disconnect(&new.host_name);
    }
    made
}

fn pair(inside: &NetNamespace, new: &BridgeLink, bridge: i32) -> Message {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    let namespace = inside.as_fd().as_raw_fd();
    Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(&new.host_name))
        .attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes())
        .attribute(libc::IFLA_MTU, &new.mtu.to_ne_bytes())
        .nested(libc::IFLA_LINKINFO, |info| {
            info.attribute(libc::IFLA_INFO_KIND, b"veth").nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |end| {
                    end.raw(&link(0, 0, 0))
                        .attribute(libc::IFLA_IFNAME, &text(&new.name))
                        .attribute(libc::IFLA_ADDRESS, &new.mac)
                        .attribute(libc::IFLA_MTU, &new.mtu.to_ne_bytes())
                        .attribute(libc::IFLA_NET_NS_FD, &namespace.to_ne_bytes())
                })
            })
        })
}

fn set_up(outside: &mut Netlink, inside: &NetNamespace, new: &BridgeLink) -> Result<(), Error> {
    bridge::no_ipv6(&new.host_name);
    let end = outside.index_of(&new.host_name)?;
    outside.set_up(end)?;
    let mut socket = inside.run(|| {
        bridge::no_ipv6(&new.name);
        Netlink::open()
    })??;
    let index = socket.index_of(&new.name)?;
    socket.add_address(index, new.address, new.prefix)?;
    socket.set_up(index)?;
    match new.is_default_route {
        true => add_default_route(&mut socket, new),
        false => Ok(()),
    }
}

/// Makes or replaces the default route of the namespace of `socket`.
fn add_default_route(socket: &mut Netlink, by: &BridgeLink) -> Result<(), Error> {
    // struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type;
    // then flags.
    const MAIN_BOOT_UNIVERSE_UNICAST: [u8; 4] = [254, 3, 0, 1];
    const CREATE_OR_REPLACE: u16 = 0x400 | 0x100; // NLM_F_CREATE and NLM_F_REPLACE
    let why = "a default route needs a gateway";
    let gateway = by.gateway.ok_or_else(|| Error::Link { name: by.name.clone(), why })?;
    let index = socket.index_of(&by.name)?;
    let mut body = vec![libc::AF_INET as u8, 0, 0, 0];
    body.extend(MAIN_BOOT_UNIVERSE_UNICAST);
    body.extend([0; 4]);
    let message = Message::new(libc::RTM_NEWROUTE, CREATE_OR_REPLACE, &body)
        .attribute(libc::RTA_GATEWAY, &gateway.octets())
        .attribute(libc::RTA_OIF, &index.to_ne_bytes());
    socket.request("set the default route", message).map(drop)
}
