//! The record of a container: everything that the API says of it, and what starting it needs.

use std::path::PathBuf;

use bollard_stubs::models::{
    ContainerConfig, HostConfig, MountPoint, NetworkingConfig, RestartPolicyNameEnum,
};
use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::runtime::Runtime;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// How large `/dev/shm` is unless a client says otherwise, in bytes: as with Docker.
pub const SHM_BYTES: i64 = 64 << 20;

/// The record of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, without the slash before it that the API writes.
    pub name: String,
    /// When it was created, by RFC 3339.
    pub created: String,
    /// The id of its image: `sha256:..`.
    pub image: String,
    /// The image's layers, the uppermost first.
    pub layers: Vec<PathBuf>,
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// What it runs: the client's words, and the image's for what the client left open.
    pub config: ContainerConfig,
    /// How it is isolated, as the client said.
    pub host: HostConfig,
    /// Its networks, as the client said.
    pub networking: NetworkingConfig,
    /// What is mounted in it.
    pub mounts: Vec<MountPoint>,
    /// Where it is in its life.
    pub status: Status,
    /// How often its restart policy has started it.
    pub restarts: u64,
    /// Whether a client has stopped it: then `unless-stopped` leaves it so.
    pub stopped_by_client: bool,
}

impl Record {
    /// The first 12 digits of its id.
    pub fn short_id(&self) -> &str {
        short(&self.id)
    }

    /// What it is made of.
    pub fn runtime(&self) -> Runtime {
        Runtime::of(&self.host)
    }

    /// Whether it has a terminal.
    pub fn tty(&self) -> bool {
        self.config.tty.unwrap_or(false)
    }

    /// Whether it is removed when it ends.
    pub fn auto_remove(&self) -> bool {
        self.host.auto_remove.unwrap_or(false)
    }

    /// The name of its restart policy.
    pub fn restart_policy(&self) -> RestartPolicyNameEnum {
        let policy = self.host.restart_policy.as_ref().and_then(|policy| policy.name);
        policy.unwrap_or(RestartPolicyNameEnum::NO)
    }

    /// The name under which the ledger knows what outlives its processes.
    pub fn ledger_name(&self) -> String {
        ledger_name(&self.id)
    }

    /// What is told about it in its events.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let labels = self.config.labels.iter().flatten();
        let mut all: Vec<_> = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
        all.push(("image".into(), self.config.image.clone().unwrap_or_default()));
        all.push(("name".into(), self.name.clone()));
        all
    }
}

/// The first 12 digits of an id.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The name in the ledger of the container with this id.
pub fn ledger_name(id: &str) -> String {
    format!("engine-{}", short(id))
}
