//! The containers in a network, as they are in the files of the running ones.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use container::network::BridgeLink;
use sandbox::Process;
use serde::{Deserialize, Serialize};

/// A running container's link into a network (Docker API, `EndpointSettings`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// 64 hexadecimal digits; a new one with each start.
    pub id: String,
    /// The id of the network.
    pub network: String,
    /// The link: its addresses, and the names of its ends.
    pub link: BridgeLink,
    /// The names that were asked for, besides the container's own.
    pub aliases: Vec<String>,
    /// All names of the container in that network, in lower case; the first one is its answer to
    /// who has the address.
    pub names: Vec<String>,
    /// Which of several networks the default route leads to: the largest wins.
    pub gateway_priority: i32,
}

/// The networks of a running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// The container's id.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// Its endpoints, in the order of their links.
    pub endpoints: Vec<EndpointRecord>,
    /// The ports of the host that lead into it.
    pub ports: Vec<PublishedPort>,
    /// The name servers that unknown names are asked of; without any, the host's.
    pub servers: Vec<IpAddr>,
    /// Its first process, once it is known.
    pub process: Option<Process>,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// As in `80/tcp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The container's port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The host's address, unspecified for all, and port.
    pub host: SocketAddr,
}

impl AttachmentRecord {
    /// The endpoint in the network with that id.
    pub fn endpoint(&self, network: &str) -> Option<&EndpointRecord> {
        self.endpoints.iter().find(|endpoint| endpoint.network == network)
    }

    /// The container's address that published ports lead to: that of its default route.
    pub fn published_address(&self) -> Option<Ipv4Addr> {
        let by_route = self.endpoints.iter().find(|endpoint| endpoint.link.is_default_route);
        by_route.map(|endpoint| endpoint.link.address)
    }

    /// The first `ethN` that none of its links has.
    pub(crate) fn free_link_name(&self) -> String {
        let is_free = |name: &String| self.endpoints.iter().all(|one| one.link.name != *name);
        (0..).map(|number| format!("eth{number}")).find(is_free).expect("fewer links than numbers")
    }
}
