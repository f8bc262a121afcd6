//! `linux` of config.json (config-linux.md).

use std::{collections::BTreeMap, path::PathBuf};

use container::{privileges::IdMap, seccomp::Profile};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Resources, or_nothing};

/// `linux`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Linux {
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) namespaces: Vec<NamespaceEntry>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) uid_mappings: Vec<IdMap>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) gid_mappings: Vec<IdMap>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) time_offsets: BTreeMap<String, TimeOffset>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) devices: Vec<DeviceEntry>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) net_devices: BTreeMap<String, Value>,
    pub(crate) cgroups_path: Option<String>,
    pub(crate) resources: Option<Resources>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) sysctl: BTreeMap<String, String>,
    pub(crate) seccomp: Option<Seccomp>,
    pub(crate) rootfs_propagation: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) masked_paths: Vec<PathBuf>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) readonly_paths: Vec<PathBuf>,
    pub(crate) mount_label: Option<String>,
    pub(crate) personality: Option<Personality>,
    pub(crate) intel_rdt: Option<Value>,
    pub(crate) memory_policy: Option<Value>,
}

/// `linux.namespaces[]`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NamespaceEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
}

/// `linux.timeOffsets{}`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TimeOffset {
    pub(crate) secs: i64,
    pub(crate) nanosecs: u32,
}

/// `linux.devices[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) path: PathBuf,
    #[serde(default)]
    pub(crate) major: Option<i64>,
    #[serde(default)]
    pub(crate) minor: Option<i64>,
    pub(crate) file_mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// `linux.seccomp`: the profile, and what is about the filter itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seccomp {
    #[serde(flatten)]
    pub(crate) profile: Profile,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) flags: Vec<String>,
    #[serde(default)]
    pub(crate) listener_path: Option<PathBuf>,
    #[serde(default)]
    pub(crate) listener_metadata: Option<String>,
}

/// `linux.personality` (personality(2)).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Personality {
    pub(crate) domain: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) flags: Vec<String>,
}
