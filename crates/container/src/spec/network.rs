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
