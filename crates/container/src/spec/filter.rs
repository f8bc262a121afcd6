//! How the filter of system calls is installed, besides what it allows.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Options of seccomp(2) for the filter of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FilterOptions {
    /// `SECCOMP_FILTER_FLAG_..` of linux/seccomp.h, without the one for a listener.
    pub flags: u32,
    /// Who decides about the calls with the action `Notify`.
    pub listener: Option<Listener>,
}

/// An agent that gets the descriptor by which the kernel asks about system calls
/// (seccomp_unotify(2)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The Unix socket at which it listens.
    pub path: PathBuf,
    /// What it is told besides the container's state.
    pub metadata: Option<String>,
}
