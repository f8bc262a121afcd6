//! Programs of the caller that run at certain points of a container's life cycle, as in
//! `config.json`; [`hooks`](crate::hooks) runs them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A program with its arguments and environment, as in `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The program, an absolute path: on the host, or inside for `start_container`.
    pub path: PathBuf,
    /// Its arguments, its own name first.
    #[serde(default)]
    pub args: Vec<String>,
    /// All of its environment: `NAME=VALUE`.
    #[serde(default)]
    pub env: Vec<String>,
    /// Timeout in seconds, after which it is killed and counts as failed; `None` means no timeout.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// The hooks of a container, by the point at which they run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// On the host, when the namespaces exist and before the root is entered.
    #[serde(alias = "prestart")]
    pub create_runtime: Vec<Hook>,
    /// At the same point, in the container's namespaces; only its children are in the pid
    /// namespace.
    pub create_container: Vec<Hook>,
    /// Inside, before the program of a created container begins.
    pub start_container: Vec<Hook>,
    /// On the host, after the program has started.
    pub poststart: Vec<Hook>,
    /// On the host, after the container has been deleted.
    pub poststop: Vec<Hook>,
    /// The state that they get, besides `pid` and `status`: `ociVersion`, `id`, `bundle`,
    /// `annotations`.
    pub state: Map<String, Value>,
}
