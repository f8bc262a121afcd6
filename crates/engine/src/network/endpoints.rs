//! The endpoints that a container gets in its networks.

use container::{bridge, network::BridgeLink};

use crate::id::new_id;

use super::{
    container_request::{EndpointRequest, not_with_others},
    endpoint::{AttachmentRecord, EndpointRecord},
    error::Error,
    names::names_of,
    record::NetworkRecord,
    state::State,
};

/// The next endpoint of a container: a link with a free address.
pub(crate) fn new_endpoint(
    state: &State,
    record: &AttachmentRecord,
    network: &NetworkRecord,
    asked: &EndpointRequest,
) -> Result<EndpointRecord, Error> {
    const MULTICAST: u8 = 1;
    // A network without one is not chosen.
    let bridge = network.bridge.as_ref().ok_or_else(|| not_with_others(network.driver))?;
    if !asked.aliases.is_empty() && !network.is_user_defined() {
        return Err(Error::invalid(
            "network-scoped alias is supported only for containers in user defined networks",
        ));
    }
    if asked.mac.is_some_and(|mac| mac == [0; 6] || mac[0] & MULTICAST != 0) {
        return Err(Error::invalid("invalid MAC address: it is not that of one link"));
    }
    let address = state.next_address(network, bridge, asked.address)?;
    let id = new_id();
    let link = BridgeLink {
        bridge: bridge.name.clone(),
        // Not a name that a link between the host and a single container can have: those are
        // addresses of private networks.
        host_name: format!("isoe{}", &id[..7]),
        name: record.free_link_name(),
        address,
        prefix: bridge.subnet.prefix(),
        gateway: (!network.internal).then_some(bridge.gateway),
        is_default_route: false,
        mac: asked.mac.unwrap_or_else(|| bridge::mac_of(address)),
        mtu: bridge.mtu,
    };
    let names = names_of(&record.container, &record.name, &record.hostname, &asked.aliases);
    let (aliases, gateway_priority) = (asked.aliases.clone(), asked.gateway_priority);
    let network = network.id.clone();
    Ok(EndpointRecord { id, network, link, aliases, names, gateway_priority })
}

/// Marks the endpoint that the default route leads over.
pub(crate) fn choose_default_route(record: &mut AttachmentRecord, state: &State) {
    let chosen = default_route(&record.endpoints, state).map(|endpoint| endpoint.id.clone());
    for endpoint in &mut record.endpoints {
        endpoint.link.is_default_route = chosen.as_ref() == Some(&endpoint.id);
    }
}

/// Whether the container finds others by name.
pub(crate) fn has_names(record: &AttachmentRecord, state: &State) -> bool {
    let networks = record.endpoints.iter().filter_map(|one| state.networks.get(&one.network));
    networks.into_iter().any(NetworkRecord::is_user_defined)
}

/// Which endpoint the default route leads over: of those with a gateway, the one with the largest
/// priority, or else the first by the network's name.
fn default_route<'a>(endpoints: &'a [EndpointRecord], state: &State) -> Option<&'a EndpointRecord> {
    let name = |endpoint: &EndpointRecord| {
        state.networks.get(&endpoint.network).map(|network| network.name.clone())
    };
    let with_gateway = endpoints.iter().filter(|endpoint| endpoint.link.gateway.is_some());
    with_gateway.min_by_key(|endpoint| (-i64::from(endpoint.gateway_priority), name(endpoint)))
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixtures::{container, network},
        *,
    };

    #[test]
    fn the_default_route_leads_to_the_largest_priority_then_the_first_name() {
        let mut state = State::default();
        for (id, name) in [("c1", "front"), ("c2", "back")] {
            state.networks.insert(id.into(), network(id, name, false));
        }
        let mut one = container("x", "x", &[("c1", 2, &[]), ("c2", 3, &[])]);
        assert_eq!(default_route(&one.endpoints, &state), None);
        for endpoint in &mut one.endpoints {
            endpoint.link.gateway = Some([10, 0, 0, 1].into());
        }
        let last = |one: &[EndpointRecord]| {
            default_route(one, &state).map(|endpoint| endpoint.link.address.octets()[3])
        };
        assert_eq!(last(&one.endpoints), Some(3), "back is before front");
        one.endpoints[0].gateway_priority = 1;
        assert_eq!(last(&one.endpoints), Some(2));
        one.endpoints[1].gateway_priority = i32::MAX;
        assert_eq!(last(&one.endpoints), Some(3));
    }

    #[test]
    fn addresses_and_names_follow_the_rules_of_the_network() {
        let mut state = State::default();
        let mut chosen = network("c1", "front", true);
        chosen.bridge.as_mut().unwrap().is_chosen = true;
        state.networks.insert("c1".into(), chosen.clone());
        let one = container("0123456789abcdef", "One", &[("c1", 2, &[])]);
        state.attached.insert("x".into(), one.clone());
        let add = |network: &NetworkRecord, asked: &EndpointRequest| {
            new_endpoint(&state, &one, network, asked).map_err(|error| error.to_string())
        };
        let first = add(&chosen, &EndpointRequest::default()).unwrap();
        assert_eq!(first.link.address, std::net::Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(first.link.mac, [2, 0x42, 10, 0, 0, 3]);
        assert_eq!((&*first.link.name, first.link.gateway), ("eth1", None));
        assert_eq!(first.names, ["one", "0123456789ab", "box.example"]);
        let at = |last| EndpointRequest {
            address: Some([10, 0, 0, last].into()),
            ..EndpointRequest::default()
        };
        assert_eq!(add(&chosen, &at(9)).unwrap().link.address.octets()[3], 9);
        for taken in [1, 2] {
            assert_eq!(add(&chosen, &at(taken)).unwrap_err(), "Address already in use");
        }
        let elsewhere = EndpointRequest { address: Some([10, 1, 0, 9].into()), ..at(9) };
        let error = add(&chosen, &elsewhere).unwrap_err();
        assert!(error.ends_with("no configured subnet contains IP address 10.1.0.9"), "{error}");
        let error = add(&network("c2", "free", false), &at(9)).unwrap_err();
        assert!(error.ends_with("networks with user configured subnets"), "{error}");
        let error = add(&network("b0", "bridge", false), &at(9)).unwrap_err();
        assert!(error.contains("user defined networks only"), "{error}");
        let aliases = vec!["alias".to_owned()];
        let named = EndpointRequest { aliases, ..EndpointRequest::default() };
        let error = add(&network("b0", "bridge", false), &named).unwrap_err();
        assert!(error.contains("network-scoped alias"), "{error}");
        let mac = Some([1, 0, 0, 0, 0, 1]);
        let error = add(&chosen, &EndpointRequest { mac, ..EndpointRequest::default() });
        assert!(error.unwrap_err().contains("invalid MAC address"));
    }
}
