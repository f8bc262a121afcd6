//! config.json, as config.md of the OCI runtime specification describes it. Properties of other
//! platforms are left out; tests/schema.rs says of each property what becomes of it.

mod linux;
mod resources;

use std::{collections::BTreeMap, path::PathBuf};

use container::{hooks::Hook, privileges::Rlimit};
use serde::{Deserialize, Serialize};

pub(crate) use linux::{DeviceEntry, Linux, NamespaceEntry, Personality, Seccomp};
pub(crate) use resources::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};

/// The whole of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) oci_version: String,
    pub(crate) process: Option<Process>,
    pub(crate) root: Option<Root>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) mounts: Vec<Mount>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) hooks: Hooks,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) linux: Linux,
}

/// `root`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    #[serde(default)]
    pub(crate) readonly: bool,
}

/// `mounts[]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) destination: PathBuf,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) source: Option<PathBuf>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) options: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) uid_mappings: Vec<container::privileges::IdMap>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) gid_mappings: Vec<container::privileges::IdMap>,
}

impl Mount {
    /// Whether it shows a path of the host, whatever its type is.
    pub(crate) fn is_bind(&self) -> bool {
        self.options.iter().any(|option| option == "bind" || option == "rbind")
    }
}

/// `process`; also the file of `exec --process`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Process {
    pub(crate) terminal: bool,
    pub(crate) console_size: Option<ConsoleSize>,
    pub(crate) user: User,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) args: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) env: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) capabilities: Option<Capabilities>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) no_new_privileges: bool,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) io_priority: Option<IoPriority>,
    #[serde(rename = "execCPUAffinity")]
    pub(crate) exec_cpu_affinity: Option<CpuAffinity>,
    pub(crate) apparmor_profile: Option<String>,
    pub(crate) selinux_label: Option<String>,
}

/// `process.consoleSize`, in characters.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ConsoleSize {
    pub(crate) height: u16,
    pub(crate) width: u16,
}

/// `process.user`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) umask: Option<u32>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) additional_gids: Vec<u32>,
}

/// `process.capabilities`: names, of which unknown ones are left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Capabilities {
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) bounding: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) effective: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) inheritable: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) permitted: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) ambient: Vec<String>,
}

/// `process.scheduler` (sched_setattr(2)).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scheduler {
    pub(crate) policy: String,
    #[serde(default)]
    pub(crate) nice: i32,
    #[serde(default)]
    pub(crate) priority: i32,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) flags: Vec<String>,
    #[serde(default)]
    pub(crate) runtime: u64,
    #[serde(default)]
    pub(crate) deadline: u64,
    #[serde(default)]
    pub(crate) period: u64,
}

/// `process.ioPriority` (ioprio_set(2)).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IoPriority {
    #[serde(rename = "class")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) priority: i32,
}

/// `process.execCPUAffinity`: lists of processors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CpuAffinity {
    pub(crate) initial: Option<String>,
    #[serde(rename = "final")]
    pub(crate) last: Option<String>,
}

/// `hooks`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Hooks {
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) prestart: Vec<Hook>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) create_runtime: Vec<Hook>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) create_container: Vec<Hook>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) start_container: Vec<Hook>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) poststart: Vec<Hook>,
    #[serde(deserialize_with = "or_nothing")]
    pub(crate) poststop: Vec<Hook>,
}

/// Go writes `null` for what is empty.
pub(crate) fn or_nothing<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
