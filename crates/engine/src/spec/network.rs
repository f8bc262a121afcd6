//! What the engine prepares of a container's network.

use std::net::IpAddr;

use container::{Network, network::BridgeLink};
use serde::{Deserialize, Serialize};

/// The network of a container that is about to start, for its launcher.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkSetup {
    /// What it sees of the network.
    pub network: Network,
    /// Its links into bridges.
    pub links: Vec<BridgeLink>,
    /// The name servers for its `/etc/resolv.conf`; without any, the host's.
    pub servers: Vec<IpAddr>,
    /// The options there, if the client names none.
    pub resolver_options: Vec<String>,
    /// Lines of its `/etc/hosts`.
    pub hosts: Vec<(String, IpAddr)>,
}
