//! The networks that a container asks for, and what it gets.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use container::{Network, network::BridgeLink};

use super::{
    endpoint::{EndpointRecord, PublishedPort},
    error::Error,
    ports::PortRequest,
    record::{Driver, NetworkRecord},
    state::State,
};

/// What a container that is about to start asks of the network (Docker API, `HostConfig` and
/// `NetworkingConfig`).
#[derive(Debug, Clone, Default)]
pub struct ContainerRequest {
    /// The container's id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// `HostConfig.NetworkMode`: `default`, `bridge`, `none`, `host`, `container:ID` or a network.
    /// Empty means the default.
    pub mode: String,
    /// `NetworkingConfig.EndpointsConfig`: what it asks of networks, by their names or ids. That of
    /// the mode may be among them.
    pub networks: BTreeMap<String, EndpointRequest>,
    /// The ports to publish.
    pub ports: Vec<PortRequest>,
    /// The name servers to use instead of the host's (`HostConfig.Dns`).
    pub servers: Vec<IpAddr>,
}

/// What a container asks of one network (Docker API, `EndpointSettings`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointRequest {
    /// Its address; without one, the first free one.
    pub address: Option<Ipv4Addr>,
    /// Its hardware address; without one, it follows from the address.
    pub mac: Option<[u8; 6]>,
    /// More names, in networks that users created.
    pub aliases: Vec<String>,
    /// Of several networks, the default route leads to the one with the largest.
    pub gateway_priority: i32,
}

/// What the launcher of a container needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedNetwork {
    /// For `WayOut::network`.
    pub network: Network,
    /// For `WayOut::links`.
    pub links: Vec<BridgeLink>,
    /// The name servers for `/etc/resolv.conf`; without any, the host's.
    pub servers: Vec<IpAddr>,
    /// The options for `/etc/resolv.conf` if the container names none; without any, the host's.
    pub resolver_options: Vec<String>,
    /// Its host name's addresses for `/etc/hosts`, one for each link.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// Its endpoints, for `NetworkSettings.Networks`.
    pub endpoints: Vec<EndpointRecord>,
    /// The open ports, for `NetworkSettings.Ports`.
    pub ports: Vec<PublishedPort>,
    /// What does not work on this host.
    pub warnings: Vec<String>,
}

/// The networks of a container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The host's, another container's, or none: no bridge is involved.
    NoBridge(Network),
    /// Those of bridges, in the order of their links.
    Bridges(Vec<(NetworkRecord, EndpointRequest)>),
}

impl PreparedNetwork {
    pub(crate) fn without_links(network: Network, servers: &[IpAddr]) -> Self {
        Self {
            network,
            links: Vec::new(),
            servers: servers.to_vec(),
            resolver_options: Vec::new(),
            hosts: Vec::new(),
            endpoints: Vec::new(),
            ports: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl ContainerRequest {
    /// Finds the networks: that of the mode first, then the others by their names.
    pub(crate) fn choose(&self, state: &State) -> Result<Chosen, Error> {
        let mode = if self.mode.is_empty() { "default" } else { &self.mode };
        if mode.starts_with("container:") {
            return self.alone(Network::None);
        }
        let first = state.find(mode)?;
        match first.driver {
            Driver::Bridge => {}
            Driver::Host => return self.alone(Network::Host),
            Driver::Null => return self.alone(Network::None),
        }
        let mut chosen = vec![(first.clone(), EndpointRequest::default())];
        for (term, request) in &self.networks {
            let network = state.find(term)?;
            match chosen.iter_mut().find(|(known, _)| known.id == network.id) {
                Some((_, asked)) => *asked = request.clone(),
                None => chosen.push((network.clone(), request.clone())),
            }
        }
        chosen[1..].sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        match chosen.iter().find(|(network, _)| network.bridge.is_none()) {
            Some((network, _)) => Err(not_with_others(network.driver)),
            None => Ok(Chosen::Bridges(chosen)),
        }
    }

    /// Without a bridge there are no further networks.
    fn alone(&self, network: Network) -> Result<Chosen, Error> {
        let is_another = |term: &&String| !["host", "none", &self.mode].contains(&term.as_str());
        match self.networks.keys().find(is_another) {
            None => Ok(Chosen::NoBridge(network)),
            Some(_) if self.mode == "none" => Err(not_with_others(Driver::Null)),
            Some(_) => Err(not_with_others(Driver::Host)),
        }
    }
}

/// Docker's words.
pub(crate) fn not_with_others(driver: Driver) -> Error {
    Error::invalid(match driver {
        Driver::Null => {
            "container cannot be connected to multiple networks with one of the networks in private \
             (none) mode"
        }
        Driver::Host | Driver::Bridge => {
            "container sharing network namespace with another container or host cannot be connected \
             to any other network"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures::network, *};

    fn state() -> State {
        let mut state = State::default();
        let predefined = [("b0", "bridge", Driver::Bridge), ("a1", "host", Driver::Host)];
        for (id, name, driver) in predefined.into_iter().chain([("a2", "none", Driver::Null)]) {
            let mut record = network(id, name, false);
            (record.bridge, record.driver) =
                (record.bridge.filter(|_| driver == Driver::Bridge), driver);
            state.networks.insert(id.into(), record);
        }
        for (id, name) in [("c1", "front"), ("c2", "back")] {
            state.networks.insert(id.into(), network(id, name, false));
        }
        state
    }

    fn choose(mode: &str, networks: &[&str]) -> Result<Vec<String>, String> {
        let networks = networks.iter().map(|name| {
            let aliases = vec![format!("alias-{name}")];
            ((*name).to_owned(), EndpointRequest { aliases, ..EndpointRequest::default() })
        });
        let request = ContainerRequest {
            mode: mode.into(),
            networks: networks.collect(),
            ..ContainerRequest::default()
        };
        match request.choose(&state()).map_err(|error| error.to_string())? {
            Chosen::NoBridge(network) => Ok(vec![format!("{network:?}")]),
            Chosen::Bridges(all) => {
                let text = |(network, asked): (NetworkRecord, EndpointRequest)| {
                    format!("{}{}", network.name, asked.aliases.concat())
                };
                Ok(all.into_iter().map(text).collect())
            }
        }
    }

    #[test]
    fn the_network_of_the_mode_comes_first() {
        assert_eq!(choose("", &[]).unwrap(), ["bridge"]);
        assert_eq!(choose("default", &["bridge"]).unwrap(), ["bridgealias-bridge"]);
        assert_eq!(choose("front", &["c1", "back"]).unwrap(), ["frontalias-c1", "backalias-back"]);
        assert_eq!(choose("host", &["host"]).unwrap(), ["Host"]);
        assert_eq!(choose("none", &[]).unwrap(), ["None"]);
        assert_eq!(choose("container:x", &[]).unwrap(), ["None"]);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let error = |mode: &str, networks: &[&str]| choose(mode, networks).unwrap_err();
        assert!(error("host", &["front"]).contains("any other network"));
        assert!(error("none", &["front"]).contains("private (none) mode"));
        assert!(error("front", &["host"]).contains("any other network"));
        assert!(error("container:x", &["front"]).contains("any other network"));
        assert_eq!(error("nope", &[]), "network nope not found");
        assert_eq!(error("front", &["nope"]), "network nope not found");
    }
}
