//! The events of what containers use: networks that they are connected to, volumes that they mount.

use crate::{container::Container, engine::Engine, events::Kind, network::NetworkRecord};

/// Tells that something has happened to a network, with a container if that is one's part in it.
pub(crate) fn network(engine: &Engine, action: &str, network: &NetworkRecord, of: Option<&str>) {
    let attributes = [
        ("name", Some(network.name.as_str())),
        ("type", Some(network.driver.name())),
        ("container", of),
    ];
    let given = attributes.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    engine.events.emit(Kind::NETWORK, action, &network.id, given);
}

/// Tells what a container that has started uses.
pub(crate) fn taken(engine: &Engine, container: &Container) {
    volumes(engine, container, "mount");
    networks(engine, container, "connect");
}

/// Tells what a container that has ended, and still has its networks, gives back.
pub(crate) fn given_back(engine: &Engine, container: &Container) {
    networks(engine, container, "disconnect");
    volumes(engine, container, "unmount");
}

fn networks(engine: &Engine, container: &Container, action: &str) {
    let attached = engine.networks.attachment(&container.id);
    let endpoints = attached.iter().flat_map(|attached| &attached.endpoints);
    let mut all: Vec<_> = endpoints.map(|endpoint| endpoint.network.clone()).collect();
    let mode = container.record().host.network_mode.clone().unwrap_or_default();
    if matches!(mode.as_str(), "none" | "host") {
        all.push(mode);
    }
    for found in all.iter().filter_map(|term| engine.networks.find(term).ok()) {
        network(engine, action, &found, Some(&container.id));
    }
}

fn volumes(engine: &Engine, container: &Container, action: &str) {
    let mounts = container.record().mounts.clone();
    for mount in mounts {
        let Some(name) = mount.name else { continue };
        let text = |text: Option<String>| text.unwrap_or_default();
        let mut attributes =
            vec![("driver", "local".to_owned()), ("container", container.id.clone())];
        if action == "mount" {
            attributes.push(("destination", text(mount.destination)));
            attributes.push(("read/write", mount.rw.unwrap_or(true).to_string()));
            attributes.push(("propagation", text(mount.propagation)));
        }
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value));
        engine.events.emit(Kind::VOLUME, action, &name, attributes);
    }
}
