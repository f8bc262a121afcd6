//! Programs of the caller's that are run at certain points of a container's life, as `config.json`
//! names them; [`hooks`](crate::hooks) runs them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A program with its arguments and environment, as `config.json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The program, an absolute path: outside, of `start_container` inside.
    pub path: PathBuf,
    /// Its arguments, its own name first.
    #[serde(default)]
    pub args: Vec<String>,
    /// All of its environment: `NAME=VALUE`.
    #[serde(default)]
    pub env: Vec<String>,
    /// After this many seconds it is killed, which is an error; `None` is never.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// The hooks of a container, by place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Outside, when the namespaces are there and the root is not entered yet.
    #[serde(alias = "prestart")]
    pub create_runtime: Vec<Hook>,
    /// At the same place, in the container's namespaces; that of process ids is for its children.
    pub create_container: Vec<Hook>,
    /// Inside, before the program of a created container begins.
    pub start_container: Vec<Hook>,
    /// Outside, when the program has begun.
    pub poststart: Vec<Hook>,
    /// Outside, when the container has been deleted.
    pub poststop: Vec<Hook>,
    /// What they are told besides `pid` and `status`: `ociVersion`, `id`, `bundle`, `annotations`.
    pub state: Map<String, Value>,
}
