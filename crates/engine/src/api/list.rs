//! `GET /containers/json`: what `docker ps` shows.

use std::sync::Arc;

use axum::{body::Body, http::Response};
use bollard_stubs::models::{
    ContainerSummary, ContainerSummaryHostConfig, ContainerSummaryStateEnum, PortSummary,
    PortSummaryTypeEnum,
};

use serde_json::{Value, json};

use super::{always::written, call::Call, inspect, response};
use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    filters::Filters,
    network::AttachmentRecord,
    state::{record::Record, status::Phase},
    time,
};

const FILTERS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

const PHASES: [&str; 7] =
    ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

pub(super) async fn list(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let filters = call.query.filters(&FILTERS)?;
    for status in filters.values("status") {
        if !PHASES.contains(&status.as_str()) {
            return Err(ApiError::invalid(format!("invalid filter 'status={status}'")));
        }
    }
    let limit = call.query.number::<i64>("limit")?.filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    // Who asks for a state, or for the last ones, wants those that have ended too.
    let all = call.query.flag("all")
        || limit.is_some()
        || ["status", "exited", "before", "since"]
            .iter()
            .any(|key| !filters.values(key).is_empty());
    let created = |text: &String| engine.container(text).map(|it| it.record().created.clone());
    let before = filters.values("before").iter().map(created).collect::<Result<Vec<_>>>()?;
    let since = filters.values("since").iter().map(created).collect::<Result<Vec<_>>>()?;
    let ancestors = ancestors(engine, &filters).await;
    let with_size = call.query.flag("size");
    let mut found = Vec::new();
    for container in engine.containers() {
        let record = container.record().clone();
        let is_shown =
            all || record.status.phase.is_up() || record.status.phase == Phase::Restarting;
        let in_time = before.iter().all(|before| record.created < *before)
            && since.iter().all(|since| record.created > *since);
        let has_ancestor = filters.values("ancestor").is_empty()
            || ancestors.contains(&record.image)
            || filters.values("ancestor").iter().any(|it| record.config.image.as_ref() == Some(it));
        if is_shown
            && in_time
            && has_ancestor
            && matches(
                engine,
                &filters,
                &record,
                container.health().map_or("none", |health| health.name()),
            )
        {
            found.push(summary(engine, &container, &record, with_size)?);
        }
        if limit.is_some_and(|limit| found.len() == limit) {
            break;
        }
    }
    response::json(&found)
}

/// The ids of the images that the filter `ancestor` names.
async fn ancestors(engine: &Arc<Engine>, filters: &Filters) -> Vec<String> {
    let names = filters.values("ancestor").to_vec();
    if names.is_empty() {
        return Vec::new();
    }
    let engine = Arc::clone(engine);
    let look_up = move || {
        let store = engine.store().ok()?;
        let platform = image::manifest::Platform::host();
        let id = |name: &String| {
            let named = store.resolve(name).ok()?;
            Some(store.image_at(&named.descriptor, &platform).ok()?.id().ok()?.to_string())
        };
        Some(names.iter().filter_map(id).collect())
    };
    tokio::task::spawn_blocking(look_up).await.ok().flatten().unwrap_or_default()
}

fn matches(engine: &Engine, filters: &Filters, record: &Record, health: &str) -> bool {
    let status = &record.status;
    let labels = record.config.labels.clone().unwrap_or_default();
    let attached = engine.networks.attachment(&record.id);
    let networks = inspect::networks(engine, record, attached.as_ref());
    let name = format!("/{}", record.name);
    filters.any("id", |part| record.id.contains(part))
        && filters.any("name", |part| {
            // Docker takes a regular expression; its anchors are what is used of it.
            let bare = part.trim_start_matches('^').trim_end_matches('$');
            let (begins, ends) = (part.starts_with('^'), part.ends_with('$'));
            let fits = |name: &str| match (begins, ends) {
                (true, true) => name == bare,
                (true, false) => name.starts_with(bare),
                (false, true) => name.ends_with(bare),
                (false, false) => name.contains(bare),
            };
            fits(&name) || fits(&record.name)
        })
        && filters.any("status", |wanted| wanted == status.phase.name())
        && filters.any("exited", |code| {
            status.phase == Phase::Exited && code.parse() == Ok(status.exit_code)
        })
        && filters.any("network", |wanted| networks.contains_key(wanted))
        && filters.any("volume", |wanted| {
            record.mounts.iter().any(|mount| {
                mount.name.as_deref() == Some(wanted)
                    || mount.destination.as_deref() == Some(wanted)
                    || mount.source.as_deref() == Some(wanted)
            })
        })
        && filters.any("expose", |wanted| {
            let wanted =
                if wanted.contains('/') { wanted.to_owned() } else { format!("{wanted}/tcp") };
            record.config.exposed_ports.iter().flatten().any(|port| *port == wanted)
        })
        && filters.any("health", |wanted| wanted == health)
        && filters.labels(|key| labels.get(key))
}

/// A container as the list shows it.
pub(super) fn summary(
    engine: &Engine,
    container: &Container,
    record: &Record,
    with_size: bool,
) -> Result<Value> {
    let attached = engine.networks.attachment(&record.id);
    use ContainerSummaryStateEnum as State;
    let state = match record.status.phase {
        Phase::Created => State::CREATED,
        Phase::Up => State::RUNNING,
        Phase::Paused => State::PAUSED,
        Phase::Restarting => State::RESTARTING,
        Phase::Exited => State::EXITED,
        Phase::Removing => State::REMOVING,
    };
    let created = time::since_1970(&record.created).unwrap_or_default();
    let own = with_size.then(|| inspect::size_of(&container.directory.join("files/upper")));
    let whole =
        own.map(|own| own + record.layers.iter().map(|layer| inspect::size_of(layer)).sum::<u64>());
    let bytes = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let networks = inspect::networks(engine, record, attached.as_ref());
    let summary = ContainerSummary {
        id: Some(record.id.clone()),
        names: Some(vec![format!("/{}", record.name)]),
        image: record.config.image.clone(),
        image_id: Some(record.image.clone()),
        command: Some(command(&record.arguments)),
        created: i64::try_from(created.as_secs()).ok(),
        ports: Some(ports(record, attached.as_ref())),
        size_rw: bytes(own),
        size_root_fs: bytes(whole),
        labels: Some(record.config.labels.clone().unwrap_or_default()),
        state: Some(state),
        status: Some(record.status.words(container.health().map(|health| health.name()))),
        host_config: Some(ContainerSummaryHostConfig {
            network_mode: record.host.network_mode.clone(),
            annotations: None,
        }),
        mounts: Some(record.mounts.clone()),
        ..ContainerSummary::default()
    };
    let mut written = written(&summary)?;
    written["NetworkSettings"] = json!({ "Networks": inspect::completed_networks(&networks)? });
    Ok(written)
}

/// Its open ports, and those that are only exposed.
fn ports(record: &Record, attached: Option<&AttachmentRecord>) -> Vec<PortSummary> {
    let kind = |name: &str| match name {
        "udp" => PortSummaryTypeEnum::UDP,
        _ => PortSummaryTypeEnum::TCP,
    };
    let open = attached.into_iter().flat_map(|attached| &attached.ports);
    let mut all: Vec<PortSummary> = open
        .map(|port| PortSummary {
            ip: Some(port.host.ip().to_string()),
            private_port: port.port,
            public_port: Some(port.host.port()),
            typ: Some(kind(port.protocol.name())),
        })
        .collect();
    for text in record.config.exposed_ports.iter().flatten().filter(|_| attached.is_some()) {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let Ok(port) = number.parse() else { continue };
        let typ = Some(kind(protocol));
        if !all.iter().any(|open| open.private_port == port && open.typ == typ) {
            all.push(PortSummary { ip: None, private_port: port, public_port: None, typ });
        }
    }
    all
}

/// The command line; a word with spaces or without letters is quoted, as dockerd does.
fn command(words: &[String]) -> String {
    let quoted = |word: &String| match word.is_empty() || word.contains([' ', '\'']) {
        true => format!("'{}'", word.replace('\'', "\\'")),
        false => word.clone(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
