//! The networks and the containers in them, without what the kernel and the files have of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::{
    endpoint::{AttachmentRecord, EndpointRecord},
    error::Error,
    pool::{Subnet, free_address, is_host_address},
    record::{BridgeRecord, NetworkRecord},
};

/// All networks, and all running containers.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By their ids.
    pub(crate) networks: BTreeMap<String, NetworkRecord>,
    /// By the ids of the containers.
    pub(crate) attached: BTreeMap<String, AttachmentRecord>,
}

impl State {
    /// The network with that id or name, or with an id that begins so.
    pub(crate) fn find(&self, term: &str) -> Result<&NetworkRecord, Error> {
        let by_name = || self.networks.values().find(|network| network.name == term);
        if let Some(found) = self.networks.get(term).or_else(by_name) {
            return Ok(found);
        }
        // `default` is the network of containers that name none (Docker API, NetworkMode).
        if term == "default" {
            return self.find("bridge");
        }
        let mut begin = self.networks.values().filter(|network| network.id.starts_with(term));
        let not_found = || Error::NotFound { term: term.to_owned() };
        let first = begin.next().filter(|_| !term.is_empty()).ok_or_else(not_found)?;
        match begin.count() {
            0 => Ok(first),
            others => Err(Error::Ambiguous { term: term.to_owned(), count: others + 1 }),
        }
    }

    /// The endpoints in a network, with the containers whose they are.
    pub(crate) fn endpoints<'a>(
        &'a self,
        network: &'a str,
    ) -> impl Iterator<Item = (&'a AttachmentRecord, &'a EndpointRecord)> {
        self.attached.values().filter_map(|one| Some((one, one.endpoint(network)?)))
    }

    /// The subnets of all networks.
    pub(crate) fn subnets(&self) -> impl Iterator<Item = Subnet> {
        self.networks.values().filter_map(|network| network.bridge.as_ref()).map(|it| it.subnet)
    }

    /// The address that the next endpoint in a network gets: the one `asked` for, or the first free
    /// one.
    pub(crate) fn next_address(
        &self,
        network: &NetworkRecord,
        bridge: &BridgeRecord,
        asked: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, Error> {
        let mut taken: BTreeSet<Ipv4Addr> = bridge.reserved();
        taken.extend(self.endpoints(&network.id).map(|(_, endpoint)| endpoint.link.address));
        let Some(address) = asked else {
            let free = free_address(bridge.subnet, bridge.ip_range, &taken);
            let (name, id) = (network.name.clone(), network.id.clone());
            return free.ok_or(Error::NoAddress { name, id });
        };
        let settings = |why: &str| {
            let name = &network.name;
            let text =
                format!("invalid config for network {name}: invalid endpoint settings:\n{why}");
            Err(Error::invalid(text))
        };
        if !network.is_user_defined() {
            return Err(Error::invalid(
                "user specified IP address is supported on user defined networks only",
            ));
        }
        if !bridge.is_chosen {
            return settings(
                "user specified IP address is supported only when connecting to networks with user \
                 configured subnets",
            );
        }
        if !is_host_address(bridge.subnet, address) {
            return settings(&format!("no configured subnet contains IP address {address}"));
        }
        if taken.contains(&address) { Err(Error::AddressInUse) } else { Ok(address) }
    }
}
