//! The bridges of networks, and which subnets they can have on this host.

use std::net::{IpAddr, Ipv4Addr};

use container::{bridge, network::DEFAULT_BRIDGE};

use super::{
    error::{Error, kernel},
    pool::{Subnet, free_address, free_subnet},
    record::{BridgeRecord, NetworkRecord},
    request::{ChosenSubnet, USUAL_MTU},
    resolv_conf,
    state::State,
};

impl ChosenSubnet {
    /// The host's address: the one asked for, or the first that is not kept for somebody else.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        let auxiliary = self.auxiliary.values().copied().collect();
        let first = || free_address(self.subnet, None, &auxiliary);
        self.gateway.or_else(first).unwrap_or(self.subnet.address())
    }
}

/// Makes the bridge of a network and its rules, or completes what is there of it. Returns why its
/// containers reach less than they should.
pub(crate) fn make_bridge(network: &NetworkRecord) -> Result<Option<String>, Error> {
    let Some(bridge) = &network.bridge else { return Ok(None) };
    bridge::create(&bridge.name, bridge.gateway, bridge.subnet.prefix(), bridge.mtu)
        .map_err(kernel(format!("make the bridge of the network {}", network.name)))?;
    let opened = match (network.internal, bridge.masquerade) {
        (true, _) => bridge::isolate(&bridge.name).map(|()| None),
        (false, masquerade) => {
            let network = (bridge.subnet.address(), bridge.subnet.prefix());
            bridge::open_the_way(&bridge.name, network, masquerade)
        }
    };
    let name = &network.name;
    Ok(match opened {
        Ok(None) => None,
        Ok(Some(why)) => {
            Some(format!("containers in {name} reach only each other and the host: {why}"))
        }
        Err(error) if network.internal => {
            Some(format!("the network {name} is not isolated: {}", sandbox::chain(&error)))
        }
        Err(error) => Some(format!(
            "containers in {name} reach only each other and the host: {}",
            sandbox::chain(&error)
        )),
    })
}

/// Removes the bridge of a network and its rules.
pub(crate) fn remove_bridge(network: &NetworkRecord) -> Result<(), Error> {
    let Some(bridge) = &network.bridge else { return Ok(()) };
    bridge::remove(&bridge.name)
        .map_err(kernel(format!("remove the bridge of the network {}", network.name)))
}

/// The bridge of the network `bridge`: the one that is there, from before its file was lost, or one
/// with a free subnet. It is made when the first container needs it.
pub(crate) fn default_bridge(state: &State, warnings: &mut Vec<String>) -> BridgeRecord {
    let existing = bridge::address(DEFAULT_BRIDGE).ok().flatten();
    let existing = existing.and_then(|(address, prefix)| {
        let subnet = Subnet::new(address, prefix)?;
        (!state.subnets().any(|other| other.overlaps(subnet))).then_some((address, subnet))
    });
    let (gateway, subnet) = existing.unwrap_or_else(|| {
        let free = free_subnet(&in_use(state)).or_else(|| {
            warnings.push("the network bridge overlaps with a network of the host".into());
            free_subnet(&[])
        });
        let chosen = subnet_of_ours(free.expect("the first default subnet is free"));
        (chosen.gateway(), chosen.subnet)
    });
    BridgeRecord {
        name: DEFAULT_BRIDGE.into(),
        subnet,
        is_chosen: false,
        gateway,
        ip_range: None,
        auxiliary: [].into(),
        mtu: USUAL_MTU,
        masquerade: true,
    }
}

/// A subnet of which nothing else was asked for.
pub(crate) fn subnet_of_ours(subnet: Subnet) -> ChosenSubnet {
    ChosenSubnet { subnet, ip_range: None, gateway: None, auxiliary: [].into() }
}

/// The subnets that no default one may overlap with: those of other networks, those that the host
/// has routes to, and those of its name servers.
pub(crate) fn in_use(state: &State) -> Vec<Subnet> {
    let servers = resolv_conf::servers().into_iter().filter_map(|server| match server {
        IpAddr::V4(address) => Subnet::new(address, 32),
        IpAddr::V6(_) => None,
    });
    state.subnets().chain(routes()).chain(servers).collect()
}

/// A user may take a part of a network that the host has a route to, such as a VPN's, but not all of
/// one.
pub(crate) fn not_in_use(state: &State, asked: ChosenSubnet) -> Result<ChosenSubnet, Error> {
    let is_within =
        |route: &Subnet| route.prefix() >= asked.subnet.prefix() && asked.subnet.overlaps(*route);
    let is_taken =
        state.subnets().any(|other| other.overlaps(asked.subnet)) || routes().iter().any(is_within);
    if is_taken { Err(Error::Overlap) } else { Ok(asked) }
}

/// The networks that the host has routes to; none if they cannot be read.
fn routes() -> Vec<Subnet> {
    let routes = container::network::routes().unwrap_or_default().into_iter();
    routes.filter_map(|(address, prefix)| Subnet::new(address, prefix)).collect()
}
