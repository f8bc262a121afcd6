//! Who the program is, and the limits of a process.

use serde::{Deserialize, Serialize};

/// User and groups of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct User {
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups.
    pub additional_gids: Vec<u32>,
    /// The umask; `None` means 0o022.
    pub umask: Option<u32>,
}

/// One range of ids of a user namespace (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdMap {
    /// The first id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many ids.
    pub size: u32,
}

/// The maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IdMaps {
    /// Of users.
    pub uid: Vec<IdMap>,
    /// Of groups.
    pub gid: Vec<IdMap>,
}

/// A resource limit of a process (getrlimit(2)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE`, with or without `RLIMIT_`, in any case.
    #[serde(rename = "type")]
    pub kind: String,
    /// The limit in force; `u64::MAX` means no limit.
    pub soft: u64,
    /// How far a process may raise it.
    pub hard: u64,
}
