//! Sockets of the host's ports.

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrStorage, bind,
        getsockname, listen, setsockopt, socket, sockopt,
    },
};

use super::endpoint::Protocol;

/// Opens a socket at that address, of a stream that listens already; port 0 means a free one.
pub(crate) fn open(protocol: Protocol, address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    let opened = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if address.is_ipv6() {
        // 0.0.0.0 has a socket of its own (ipv6(7)).
        setsockopt(&opened, sockopt::Ipv6V6Only, &true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of an earlier server of the port do not keep it (socket(7)).
        setsockopt(&opened, sockopt::ReuseAddr, &true)?;
    }
    bind(opened.as_raw_fd(), &SockaddrStorage::from(address))?;
    if protocol == Protocol::Tcp {
        listen(&opened, Backlog::MAXCONN)?;
    }
    Ok(opened)
}

/// The port that it has.
pub(crate) fn port_of(socket: &OwnedFd) -> Result<u16, Errno> {
    let address: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let of_ipv4 = address.as_sockaddr_in().map(SockaddrIn::port);
    of_ipv4.or(address.as_sockaddr_in6().map(SockaddrIn6::port)).ok_or(Errno::EAFNOSUPPORT)
}
