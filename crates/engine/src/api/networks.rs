//! Networks.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::{
    EndpointSettings, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use serde_json::{Value, json};

use super::{
    body,
    call::Call,
    response::{empty, json as json_response, json_of},
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    life::{announce_network, endpoint_request, network_failed as failed},
    network::{AttachmentRecord, EndpointRecord, NetworkRecord, NetworkRequest, SubnetRequest},
    time,
};

const FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// Does what may wait for the kernel on a thread for that.
async fn blocking<T: Send + 'static>(
    engine: &Arc<Engine>,
    work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
) -> Result<T> {
    let engine = Arc::clone(engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    done.map_err(|error| ApiError::of(&error))?
}

pub(super) fn list(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&FILTERS)?;
    let matches = |network: &NetworkRecord| {
        let labels: HashMap<String, String> = network.labels.clone().into_iter().collect();
        filters.any("driver", |driver| driver == network.driver.name())
            && filters.any("id", |part| network.id.contains(part))
            && filters.any("name", |part| network.name.contains(part))
            && filters.any("scope", |scope| scope == "local")
            && filters.any("type", |kind| (kind == "custom") == network.is_user_defined())
            && filters.any("dangling", |wanted| {
                let is_wanted = matches!(wanted, "1" | "true");
                (network.is_user_defined() && engine.networks.containers(&network.id).is_empty())
                    == is_wanted
            })
            && filters.labels(|key| labels.get(key))
    };
    let found = engine.networks.list().into_iter().filter(matches);
    let all: Vec<Value> = found.map(|network| written(engine, &network, false)).collect();
    json_response(&all)
}

pub(super) fn inspect(engine: &Arc<Engine>, term: &str) -> Result<Response<Body>> {
    let network = engine.networks.find(term).map_err(failed)?;
    json_response(&written(engine, &network, true))
}

pub(super) async fn create(engine: &Arc<Engine>, body: Body) -> Result<Response<Body>> {
    let asked: NetworkCreateRequest = body::json(body).await?;
    let ipam = asked.ipam.unwrap_or_default();
    let subnet = |config: bollard_stubs::models::IpamConfig| SubnetRequest {
        subnet: config.subnet.unwrap_or_default(),
        ip_range: config.ip_range.unwrap_or_default(),
        gateway: config.gateway.unwrap_or_default(),
        auxiliary: config.auxiliary_addresses.unwrap_or_default().into_iter().collect(),
    };
    let request = NetworkRequest {
        name: asked.name,
        driver: asked.driver.unwrap_or_default(),
        subnets: ipam.config.unwrap_or_default().into_iter().map(subnet).collect(),
        internal: asked.internal.unwrap_or(false),
        attachable: asked.attachable.unwrap_or(false),
        enable_ipv6: asked.enable_ipv6.unwrap_or(false),
        labels: asked.labels.unwrap_or_default().into_iter().collect(),
        options: asked.options.unwrap_or_default().into_iter().collect(),
    };
    let create = move |engine: &Engine| engine.networks.create(&request).map_err(failed);
    let created = blocking(engine, create).await?;
    if let Ok(network) = engine.networks.find(&created.id) {
        announce_network(engine, "create", &network, None);
    }
    let warning = created.warnings.join("; ");
    json_of(StatusCode::CREATED, &json!({ "Id": created.id, "Warning": warning }))
}

pub(super) async fn remove(engine: &Arc<Engine>, term: &str) -> Result<Response<Body>> {
    let term = term.to_owned();
    let remove = move |engine: &Engine| engine.networks.remove(&term).map_err(failed);
    let removed = blocking(engine, remove).await?;
    announce_network(engine, "destroy", &removed, None);
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn prune(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&["until", "label", "label!"])?;
    let until = filters.values("until").first().map(|text| {
        time::of_query(text).ok_or_else(|| ApiError::invalid(format!("invalid until: {text}")))
    });
    let until = until.transpose()?;
    let prune = move |engine: &Engine| {
        Ok(engine.networks.prune(|network| {
            let labels: HashMap<String, String> = network.labels.clone().into_iter().collect();
            let created = std::time::Duration::from_millis(network.created_ms);
            filters.labels(|key| labels.get(key)) && until.is_none_or(|until| created < until)
        }))
    };
    let pruned = blocking(engine, prune).await?;
    for network in &pruned {
        announce_network(engine, "destroy", network, None);
    }
    let names: Vec<&String> = pruned.iter().map(|network| &network.name).collect();
    json_response(&json!({ "NetworksDeleted": names }))
}

pub(super) async fn connect(
    engine: &Arc<Engine>,
    term: &str,
    body: Body,
) -> Result<Response<Body>> {
    let asked: NetworkConnectRequest = body::json(body).await?;
    let container = engine.container(&asked.container)?;
    let network = engine.networks.find(term).map_err(failed)?;
    let settings = asked.endpoint_config.unwrap_or_default();
    let request = endpoint_request(&settings)?;
    let _changing = container.changing.lock().await;
    if container.status().phase.is_up() {
        let (id, term) = (container.id.clone(), network.id.clone());
        let connect =
            move |engine: &Engine| engine.networks.connect(&term, &id, &request).map_err(failed);
        blocking(engine, connect).await?;
    }
    container.update(|record| {
        let all = record.networking.endpoints_config.get_or_insert_default();
        all.insert(network.name.clone(), settings);
    });
    container.save()?;
    announce_network(engine, "connect", &network, Some(&container.id));
    Ok(empty(StatusCode::OK))
}

pub(super) async fn disconnect(
    engine: &Arc<Engine>,
    term: &str,
    body: Body,
) -> Result<Response<Body>> {
    let asked: NetworkDisconnectRequest = body::json(body).await?;
    let container = engine.container(&asked.container)?;
    let network = engine.networks.find(term).map_err(failed)?;
    let _changing = container.changing.lock().await;
    if container.status().phase.is_up() {
        let (id, term) = (container.id.clone(), network.id.clone());
        let disconnect =
            move |engine: &Engine| engine.networks.disconnect(&term, &id).map_err(failed);
        blocking(engine, disconnect).await?;
    }
    container.update(|record| {
        if let Some(all) = &mut record.networking.endpoints_config {
            all.remove(&network.name);
            all.remove(&network.id);
        }
        let mode = record.host.network_mode.as_deref();
        if mode == Some(&network.name) || mode == Some(&network.id) {
            record.host.network_mode = Some("none".into());
        }
    });
    container.save()?;
    announce_network(engine, "disconnect", &network, Some(&container.id));
    Ok(empty(StatusCode::OK))
}

/// As the API writes it.
fn written(engine: &Engine, network: &NetworkRecord, with_containers: bool) -> Value {
    let subnet =
        |subnet: crate::network::Subnet| format!("{}/{}", subnet.address(), subnet.prefix());
    let config = network.bridge.as_ref().map(|bridge| {
        let mut config = json!({
            "Subnet": subnet(bridge.subnet),
            "Gateway": bridge.gateway.to_string(),
        });
        if let Some(range) = bridge.ip_range {
            config["IPRange"] = json!(subnet(range));
        }
        config
    });
    let created = std::time::UNIX_EPOCH + std::time::Duration::from_millis(network.created_ms);
    let containers = engine.networks.containers(&network.id);
    let containers: serde_json::Map<String, Value> = containers
        .iter()
        .filter(|_| with_containers)
        .map(|(attached, endpoint)| {
            let link = &endpoint.link;
            let member = json!({
                "Name": attached.name,
                "EndpointID": endpoint.id,
                "MacAddress": mac(link.mac),
                "IPv4Address": format!("{}/{}", link.address, link.prefix),
                "IPv6Address": "",
            });
            (attached.container.clone(), member)
        })
        .collect();
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": time::text(created),
        "Scope": "local",
        "Driver": network.driver.name(),
        "EnableIPv4": true,
        "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Options": null, "Config": config.into_iter().collect::<Vec<_>>() },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": network.options,
        "Labels": network.labels,
    })
}

/// `02:42:ac:11:00:02`.
fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// A container's endpoint, as the API writes it.
pub(super) fn endpoint(
    record: &EndpointRecord,
    asked: Option<&EndpointSettings>,
) -> EndpointSettings {
    let link = &record.link;
    EndpointSettings {
        network_id: Some(record.network.clone()),
        endpoint_id: Some(record.id.clone()),
        gateway: Some(link.gateway.map_or_else(String::new, |gateway| gateway.to_string())),
        ip_address: Some(link.address.to_string()),
        ip_prefix_len: Some(link.prefix.into()),
        mac_address: Some(mac(link.mac)),
        aliases: Some(record.aliases.clone()).filter(|all| !all.is_empty()),
        dns_names: Some(record.names.clone()),
        ..asked.cloned().unwrap_or_default()
    }
}

/// The open ports of a container: `{"80/tcp":[{"HostIp":..,"HostPort":..}]}`, and null for a port that
/// is exposed and not open.
pub(super) fn ports(attached: Option<&AttachmentRecord>, exposed: Option<&Vec<String>>) -> Value {
    let mut all: serde_json::Map<String, Value> =
        exposed.into_iter().flatten().map(|port| (port.clone(), Value::Null)).collect();
    for port in attached.iter().flat_map(|attached| &attached.ports) {
        let open = json!({
            "HostIp": port.host.ip().to_string(),
            "HostPort": port.host.port().to_string(),
        });
        let name = format!("{}/{}", port.port, port.protocol.name());
        match all.entry(name).or_insert(Value::Null) {
            Value::Array(list) => list.push(open),
            other => *other = json!([open]),
        }
    }
    Value::Object(all)
}
