//! A container's state, and why a request about it is refused.

use std::io;

use serde::{Deserialize, Serialize};

/// A container's state: what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its id, which is its directory's name too.
    pub id: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where its life is.
    pub state: State,
}

/// Where a container's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum State {
    /// It was never started.
    Created,
    /// It was started as this process.
    Running {
        /// Its number.
        pid: u32,
        /// When it was started: field 22 of `/proc/PID/stat`.
        start_time: u64,
    },
    /// It has ended.
    Exited {
        /// Its exit code, or 128 and the signal that killed it.
        code: i32,
    },
}

/// Why a request is not done.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such container: status 404.
    Unknown,
    /// It runs already: status 304.
    AlreadyStarted,
    /// It runs, and this cannot be done to one that runs: status 409.
    Conflict,
    /// Something failed: status 500.
    Failed(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Failed(error.into())
    }
}
