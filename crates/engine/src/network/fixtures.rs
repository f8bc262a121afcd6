//! Networks and containers for tests that need no kernel.

use std::net::IpAddr;

use container::{bridge, network::BridgeLink};

use super::{
    endpoint::{AttachmentRecord, EndpointRecord},
    record::{BridgeRecord, Driver, NetworkRecord},
};

/// A network of a user's, 10.0.0.0/24.
pub(crate) fn network(id: &str, name: &str, internal: bool) -> NetworkRecord {
    let bridge = BridgeRecord {
        name: bridge::name_of(id),
        subnet: "10.0.0.0/24".parse().unwrap(),
        is_chosen: false,
        gateway: [10, 0, 0, 1].into(),
        ip_range: None,
        auxiliary: [].into(),
        mtu: 1500,
        masquerade: true,
    };
    NetworkRecord {
        id: id.into(),
        name: name.into(),
        created_ms: 0,
        driver: Driver::Bridge,
        bridge: Some(bridge),
        internal,
        attachable: false,
        labels: [].into(),
        options: [].into(),
    }
}

/// A container with the host name `box.example`, and for each endpoint the id of the network, the
/// last number of the address and the aliases.
pub(crate) fn container(
    id: &str,
    name: &str,
    endpoints: &[(&str, u8, &[&str])],
) -> AttachmentRecord {
    let endpoint = |(network, last, aliases): &(&str, u8, &[&str])| {
        let aliases: Vec<String> = aliases.iter().map(|alias| (*alias).into()).collect();
        let address = [10, 0, 0, *last].into();
        EndpointRecord {
            id: format!("{id}{network}"),
            network: (*network).into(),
            link: BridgeLink {
                bridge: "isolab0".into(),
                host_name: "isoe0000000".into(),
                name: "eth0".into(),
                address,
                prefix: 24,
                gateway: None,
                is_default_route: false,
                mac: bridge::mac_of(address),
                mtu: 1500,
            },
            names: [vec![name.to_owned()], aliases.clone()].concat(),
            aliases,
            gateway_priority: 0,
        }
    };
    AttachmentRecord {
        container: id.into(),
        name: name.into(),
        hostname: "box.example".into(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        ports: Vec::new(),
        servers: vec![IpAddr::from([192, 0, 2, 53])],
        process: None,
    }
}
