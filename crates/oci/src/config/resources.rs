//! `linux.resources` of config.json, and of `update --resources`.

use std::collections::BTreeMap;

use container::devices::DeviceRule;
use serde::{Deserialize, Serialize};

use super::or_nothing;

/// `linux.resources`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resources {
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) devices: Vec<DeviceRule>,
    pub(crate) memory: Option<Memory>,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) pids: Option<Pids>,
    #[serde(rename = "blockIO")]
    pub(crate) block_io: Option<BlockIo>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) hugepage_limits: Vec<HugepageLimit>,
    pub(crate) network: Option<Network>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) rdma: BTreeMap<String, Rdma>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) unified: BTreeMap<String, String>,
}

/// `memory`, in bytes; -1 is no limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Memory {
    pub(crate) limit: Option<i64>,
    pub(crate) reservation: Option<i64>,
    pub(crate) swap: Option<i64>,
    pub(crate) kernel: Option<i64>,
    #[serde(rename = "kernelTCP")]
    pub(crate) kernel_tcp: Option<i64>,
    pub(crate) swappiness: Option<u64>,
    #[serde(rename = "disableOOMKiller")]
    pub(crate) disable_oom_killer: Option<bool>,
    pub(crate) use_hierarchy: Option<bool>,
    pub(crate) check_before_update: Option<bool>,
}

/// `cpu`, times in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Cpu {
    pub(crate) shares: Option<u64>,
    pub(crate) quota: Option<i64>,
    pub(crate) burst: Option<u64>,
    pub(crate) period: Option<u64>,
    pub(crate) realtime_runtime: Option<i64>,
    pub(crate) realtime_period: Option<u64>,
    pub(crate) cpus: Option<String>,
    pub(crate) mems: Option<String>,
    pub(crate) idle: Option<i64>,
}

/// `pids`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pids {
    pub(crate) limit: Option<i64>,
}

/// `blockIO`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BlockIo {
    pub(crate) weight: Option<u16>,
    pub(crate) leaf_weight: Option<u16>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) weight_device: Vec<WeightDevice>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) throttle_read_bps_device: Vec<ThrottleDevice>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) throttle_write_bps_device: Vec<ThrottleDevice>,
    #[serde(rename = "throttleReadIOPSDevice", deserialize_with = "or_nothing")]
    pub(crate) throttle_read_iops_device: Vec<ThrottleDevice>,
    #[serde(rename = "throttleWriteIOPSDevice", deserialize_with = "or_nothing")]
    pub(crate) throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// `weightDevice[]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WeightDevice {
    pub(crate) major: i64,
    pub(crate) minor: i64,
    pub(crate) weight: Option<u16>,
    pub(crate) leaf_weight: Option<u16>,
}

/// `throttle..Device[]`, in bytes or requests a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ThrottleDevice {
    pub(crate) major: i64,
    pub(crate) minor: i64,
    pub(crate) rate: u64,
}

/// `hugepageLimits[]`: `2MB`, bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HugepageLimit {
    pub(crate) page_size: String,
    pub(crate) limit: u64,
}

/// `network`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Network {
    #[serde(rename = "classID")]
    pub(crate) class_id: Option<u32>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) priorities: Vec<Priority>,
}

/// `network.priorities[]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Priority {
    pub(crate) name: String,
    pub(crate) priority: u32,
}

/// `rdma{}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rdma {
    pub(crate) hca_handles: Option<u32>,
    pub(crate) hca_objects: Option<u32>,
}
