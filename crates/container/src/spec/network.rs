//! What a container sees of the network.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

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

/// A port of the host's that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The host's address; unspecified for each that it has.
    pub address: Ipv4Addr,
    /// Its port.
    pub host_port: u16,
    /// The port inside.
    pub port: u16,
    /// Whether of UDP, else of TCP.
    pub udp: bool,
}
