//! What the engine knows of a network, as it is in its file.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde::{Deserialize, Serialize};

use super::pool::Subnet;

/// How the containers of a network are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// By a bridge of the host.
    Bridge,
    /// Not at all: they are in the host's own network.
    Host,
    /// Not at all: they have only the loopback link.
    Null,
}

impl Driver {
    /// Docker's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// A network (Docker API, `Network`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name; no other network has it.
    pub name: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// How its containers are connected.
    pub driver: Driver,
    /// The bridge and its addresses, of the driver [`Driver::Bridge`].
    pub bridge: Option<BridgeRecord>,
    /// Whether its containers reach only each other and the host.
    pub internal: bool,
    /// Whether containers may join a swarm's network by hand: kept for clients, no meaning here.
    pub attachable: bool,
    /// The user's own labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver, as they were asked for.
    pub options: BTreeMap<String, String>,
}

/// The bridge of a network, and the addresses in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeRecord {
    /// The link's name on the host.
    pub name: String,
    /// All addresses of the network.
    pub subnet: Subnet,
    /// Whether the user chose the subnet: only then may a container choose its address.
    pub is_chosen: bool,
    /// The host's address.
    pub gateway: Ipv4Addr,
    /// The part of the subnet that containers get addresses of.
    pub ip_range: Option<Subnet>,
    /// Addresses that no container gets, by the user's names for them.
    pub auxiliary: BTreeMap<String, Ipv4Addr>,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Whether its containers reach other networks with the host's address.
    pub masquerade: bool,
}

impl NetworkRecord {
    /// Whether it is one of those that are there from the beginning.
    pub fn is_predefined(&self) -> bool {
        is_predefined(&self.name)
    }

    /// Whether a user created it: then containers find each other by name in it.
    pub fn is_user_defined(&self) -> bool {
        !self.is_predefined()
    }
}

impl BridgeRecord {
    /// The addresses that are not for containers.
    pub(crate) fn reserved(&self) -> BTreeSet<Ipv4Addr> {
        self.auxiliary.values().copied().chain([self.gateway]).collect()
    }
}

/// The networks that are there from the beginning, and their drivers.
pub(crate) const PREDEFINED: [(&str, Driver); 3] =
    [("bridge", Driver::Bridge), ("host", Driver::Host), ("none", Driver::Null)];

/// Whether no network can be created with that name; `default` stands for `bridge`.
pub fn is_predefined(name: &str) -> bool {
    name == "default" || PREDEFINED.iter().any(|(predefined, _)| *predefined == name)
}
