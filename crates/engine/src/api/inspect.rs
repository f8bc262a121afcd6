//! `GET /containers/ID/json`: everything that is known of a container.

use std::{collections::HashMap, path::Path, sync::Arc};

use axum::{body::Body, http::Response};
use bollard_stubs::models::{ContainerInspectResponse, DriverData, EndpointSettings};
use serde_json::{Value, json};

use super::{
    always::{complete, completed, written},
    call::Call,
    networks, response,
};
use crate::{
    container::Container, engine::Engine, error::Result, network::AttachmentRecord,
    state::record::Record,
};

pub(super) async fn inspect(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let record = container.record().clone();
    let mut all = written(&described(engine, &container, &record))?;
    // What the models leave out: what older clients read.
    let attached = engine.networks.attachment(&container.id);
    let networks = networks(engine, &record, attached.as_ref());
    let primary = networks.values().next().cloned().unwrap_or_default();
    if let Some(fields) = all.as_object_mut() {
        let mut settings = json!({
            "Ports": networks::ports(attached.as_ref(), record.config.exposed_ports.as_ref()),
            "EndpointID": primary.endpoint_id.unwrap_or_default(),
            "Gateway": primary.gateway.unwrap_or_default(),
            "IPAddress": primary.ip_address.unwrap_or_default(),
            "IPPrefixLen": primary.ip_prefix_len.unwrap_or_default(),
            "MacAddress": primary.mac_address.unwrap_or_default(),
            "Networks": completed_networks(&networks)?,
        });
        complete(&mut settings, "NetworkSettings");
        fields.insert("NetworkSettings".into(), settings);
        fields.entry("ExecIDs").or_insert(Value::Null);
        if call.query.flag("size") {
            let (upper, layers) = (container.directory.join("files"), record.layers.clone());
            let sizes = tokio::task::spawn_blocking(move || {
                let own = size_of(&upper.join("upper"));
                (own, own + layers.iter().map(|layer| size_of(layer)).sum::<u64>())
            });
            let (own, whole) = sizes.await.unwrap_or_default();
            fields.insert("SizeRw".into(), json!(own));
            fields.insert("SizeRootFs".into(), json!(whole));
        }
        complete(&mut fields["Config"], "Config");
        complete(&mut fields["HostConfig"], "HostConfig");
        let policy = record.restart_policy().to_string();
        let policy = if policy.is_empty() { "no" } else { policy.as_str() };
        fields["HostConfig"]["RestartPolicy"]["Name"] = json!(policy);
    }
    response::json(&all)
}

fn described(engine: &Engine, container: &Container, record: &Record) -> ContainerInspectResponse {
    let text = |text: &str| Some(text.to_owned());
    let etc = |name: &str| text(&container.directory.join(name).display().to_string());
    let execs = engine.execs_of(container);
    let upper = container.directory.join("files");
    let layers: Vec<String> =
        record.layers.iter().map(|layer| layer.display().to_string()).collect();
    let data = HashMap::from([
        ("LowerDir".to_owned(), layers.join(":")),
        ("UpperDir".to_owned(), upper.join("upper").display().to_string()),
        ("WorkDir".to_owned(), upper.join("work").display().to_string()),
        // Only the container's own mount namespace has it mounted.
        ("MergedDir".to_owned(), String::new()),
    ]);
    let has_log = container.directory.join("log").exists();
    ContainerInspectResponse {
        id: text(&record.id),
        created: text(&record.created),
        path: record.arguments.first().cloned(),
        args: Some(record.arguments.get(1..).unwrap_or_default().to_vec()),
        state: Some(record.status.state(container.health().map(|health| health.written()))),
        image: text(&record.image),
        resolv_conf_path: text(""),
        hostname_path: text(""),
        hosts_path: text(""),
        log_path: if has_log { etc("log") } else { text("") },
        name: Some(format!("/{}", record.name)),
        restart_count: i64::try_from(record.restarts).ok(),
        driver: text("overlay2"),
        platform: text("linux"),
        mount_label: text(""),
        process_label: text(""),
        app_armor_profile: text(""),
        exec_ids: Some(execs).filter(|all| !all.is_empty()),
        host_config: Some(record.host.clone()),
        graph_driver: Some(DriverData { name: "overlay2".into(), data }),
        mounts: Some(record.mounts.clone()),
        config: Some(record.config.clone()),
        ..ContainerInspectResponse::default()
    }
}

/// Networks by name, with all fields that dockerd writes.
pub(super) fn completed_networks(networks: &HashMap<String, EndpointSettings>) -> Result<Value> {
    let complete =
        |(name, settings): (&String, _)| Ok((name.clone(), completed(settings, "Endpoint")?));
    Ok(Value::Object(networks.iter().map(complete).collect::<Result<_>>()?))
}

/// Its networks, by name.
pub(super) fn networks(
    engine: &Engine,
    record: &Record,
    attached: Option<&AttachmentRecord>,
) -> HashMap<String, EndpointSettings> {
    let asked = record.networking.endpoints_config.clone().unwrap_or_default();
    let mut all: HashMap<String, EndpointSettings> = HashMap::new();
    let mode = record.host.network_mode.clone().unwrap_or_else(|| "none".into());
    let mode = if mode == "default" { "bridge".into() } else { mode };
    if !mode.starts_with("container:") {
        let name = engine.networks.find(&mode).map_or(mode, |network| network.name);
        all.insert(name, EndpointSettings::default());
        all.extend(asked.clone());
    }
    for one in attached.iter().flat_map(|attached| &attached.endpoints) {
        let Ok(network) = engine.networks.find(&one.network) else { continue };
        let settings = networks::endpoint(one, asked.get(&network.name));
        all.insert(network.name, settings);
    }
    all
}

/// The bytes of all files below a directory, each hard link once.
pub(super) fn size_of(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut counted = std::collections::HashSet::new();
    let mut waiting = vec![directory.to_owned()];
    let mut bytes = 0;
    while let Some(next) = waiting.pop() {
        for listed in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let Ok(about) = listed.metadata() else { continue };
            if about.is_dir() {
                waiting.push(listed.path());
            } else if about.nlink() < 2 || counted.insert(about.ino()) {
                bytes += about.len();
            }
        }
    }
    bytes
}
