//! What a container asks of networks, from its client's words, and what it gets.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bollard_stubs::models::{EndpointSettings, PortBinding};
use nix::unistd::Uid;

use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    network::{self, ContainerRequest, EndpointRequest, PortRequest, PreparedNetwork, Protocol},
    spec::NetworkSetup,
    state::record::Record,
};

/// 4xx or 500, with dockerd's words.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(crate) fn failed(error: network::Error) -> ApiError {
    let status = axum::http::StatusCode::from_u16(error.status()).unwrap_or_default();
    ApiError::new(status, sandbox::chain(&error))
}

/// Connects a container that is about to start: its addresses are its own from now on, and its ports
/// are open.
///
/// # Errors
///
/// Those of [`network::Networks::prepare`], and 400 for words that mean nothing.
pub(crate) async fn prepare(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
) -> Result<NetworkSetup> {
    let request = request(&container.record())?;
    // An ordinary user can make no bridge: then a container has only itself.
    if !Uid::effective().is_root() && matches!(request.mode.as_str(), "" | "default" | "bridge") {
        return Ok(NetworkSetup::default());
    }
    let engine = Arc::clone(engine);
    let prepare = move || engine.networks.prepare(&request);
    let prepared = tokio::task::spawn_blocking(prepare).await;
    let prepared = prepared.map_err(|error| ApiError::of(&error))?.map_err(failed)?;
    Ok(of(prepared))
}

fn of(prepared: PreparedNetwork) -> NetworkSetup {
    let PreparedNetwork { network, links, servers, resolver_options, hosts, .. } = prepared;
    let hosts = hosts.into_iter().map(|(name, address)| (name, address.into())).collect();
    NetworkSetup { network, links, servers, resolver_options, hosts }
}

/// Gives back what it has.
pub(crate) async fn release(engine: &Arc<Engine>, container: &Container) {
    let (engine, id) = (Arc::clone(engine), container.id.clone());
    // What cannot be given back is in the ledger.
    let _ = tokio::task::spawn_blocking(move || engine.networks.stopped(&id)).await;
}

/// What it asks for.
pub(crate) fn request(record: &Record) -> Result<ContainerRequest> {
    let host = &record.host;
    let asked = record.networking.endpoints_config.iter().flatten();
    let networks = asked.map(|(name, settings)| Ok((name.clone(), endpoint(settings)?)));
    let servers = host.dns.iter().flatten().map(|text| {
        let bad = || ApiError::invalid(format!("bad dns address: {text} is not an IP address"));
        text.parse().map_err(|_| bad())
    });
    let mode = host.network_mode.clone().unwrap_or_default();
    let is_off = record.config.network_disabled == Some(true);
    Ok(ContainerRequest {
        id: record.id.clone(),
        name: record.name.clone(),
        hostname: record.config.hostname.clone().unwrap_or_default(),
        mode: if is_off { "none".into() } else { mode },
        networks: networks.collect::<Result<BTreeMap<_, _>>>()?,
        ports: ports(record)?,
        servers: servers.collect::<Result<_>>()?,
    })
}

/// What is asked of one network.
pub(crate) fn endpoint(settings: &EndpointSettings) -> Result<EndpointRequest> {
    let text = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    let address = text(settings.ipam_config.as_ref().and_then(|ipam| ipam.ipv4_address.as_ref()));
    let address = address.map(|text| {
        text.parse().map_err(|_| ApiError::invalid(format!("invalid IPv4 address: {text}")))
    });
    let mac = text(settings.mac_address.as_ref()).map(|text| {
        hardware_address(&text)
            .ok_or_else(|| ApiError::invalid(format!("invalid MAC address: {text}")))
    });
    Ok(EndpointRequest {
        address: address.transpose()?,
        mac: mac.transpose()?,
        aliases: settings.aliases.clone().unwrap_or_default(),
        gateway_priority: settings.gw_priority.and_then(|it| i32::try_from(it).ok()).unwrap_or(0),
    })
}

fn hardware_address(text: &str) -> Option<[u8; 6]> {
    let bytes = text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// The ports that are to be open: those that the client binds, and with `-P` all that are exposed.
fn ports(record: &Record) -> Result<Vec<PortRequest>> {
    let mut all = Vec::new();
    let bound: HashMap<_, _> = record.host.port_bindings.clone().unwrap_or_default();
    for (port, bindings) in &bound {
        for binding in bindings.iter().flatten() {
            all.push(port_request(port, binding)?);
        }
    }
    if record.host.publish_all_ports == Some(true) {
        let exposed = record.config.exposed_ports.iter().flatten();
        for port in exposed.filter(|port| !bound.contains_key(*port)) {
            all.push(port_request(port, &PortBinding::default())?);
        }
    }
    Ok(all)
}

fn port_request(port: &str, binding: &PortBinding) -> Result<PortRequest> {
    let invalid =
        |why: &str| ApiError::invalid(format!("invalid port specification: {port}: {why}"));
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(invalid("only tcp and udp can be published")),
    };
    let host = binding
        .host_ip
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|_| invalid(&format!("{text:?} is not an address"))));
    let text = binding.host_port.as_deref().filter(|text| !text.is_empty()).unwrap_or("0");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let one =
        |text: &str| text.parse::<u16>().map_err(|_| invalid(&format!("{text:?} is no port")));
    let host_ports = (one(first)?, one(last)?);
    if host_ports.0 > host_ports.1 {
        return Err(invalid("the first port of a range is greater than the last"));
    }
    let port = number.parse().map_err(|_| invalid("the container's port is a number"))?;
    Ok(PortRequest { port, protocol, host: host.transpose()?, host_ports })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_a_port_or_a_range_of_the_host() {
        let request = |port: &str, host_ip: &str, host_port: &str| {
            let (host_ip, host_port) = (Some(host_ip.into()), Some(host_port.into()));
            port_request(port, &PortBinding { host_ip, host_port })
        };
        let found = request("80/tcp", "127.0.0.1", "8080").unwrap();
        assert_eq!((found.port, found.host_ports), (80, (8080, 8080)));
        assert_eq!(request("53/udp", "", "").unwrap().host_ports, (0, 0));
        assert_eq!(request("80", "", "8000-8010").unwrap().host_ports, (8000, 8010));
        for (port, host, number) in [
            ("x/tcp", "", "1"),
            ("80/sctp", "", "1"),
            ("80/tcp", "nowhere", "1"),
            ("80/tcp", "", "65536"),
            ("80/tcp", "", "9-1"),
        ] {
            assert!(request(port, host, number).is_err(), "{port} {host} {number}");
        }
    }
}
