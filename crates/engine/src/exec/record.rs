//! What a command that joins a container is, for its launcher.

use std::{ffi::OsString, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A command for a running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRecord {
    /// The container's name in the ledger.
    pub ledger_name: String,
    /// The command and its arguments.
    pub words: Vec<String>,
    /// Variables in addition to the container's.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory; `None` means the container's.
    pub directory: Option<PathBuf>,
    /// The user, by the container's own files; `None` means the container's.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether the launcher writes the trace of its calls.
    #[serde(default)]
    pub trace: bool,
}
