//! A record for the tests of translations.

use bollard_stubs::models::{ContainerConfig, HostConfig, NetworkingConfig};

use crate::state::{
    record::{FORMAT, Record},
    status::Status,
};

/// A record of a container of that runtime which asks for nothing.
pub(super) fn record(runtime: &str) -> Record {
    Record {
        format: FORMAT,
        id: "0".repeat(64),
        name: "x".into(),
        created: String::new(),
        image: String::new(),
        layers: Vec::new(),
        arguments: vec!["true".into()],
        config: ContainerConfig::default(),
        host: HostConfig { runtime: Some(runtime.into()), ..HostConfig::default() },
        networking: NetworkingConfig { endpoints_config: None },
        mounts: Vec::new(),
        status: Status::default(),
        restarts: 0,
        stopped_by_client: false,
    }
}
