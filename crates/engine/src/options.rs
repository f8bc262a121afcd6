//! How an engine is set up.

use std::path::PathBuf;

/// The options of `isolab engine`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The unix socket that it listens at.
    pub socket: PathBuf,
    /// The group that may use the socket besides its owner, by its number; `None` means no one.
    pub group: Option<u32>,
    /// The directory of its containers, volumes and networks.
    pub data: PathBuf,
    /// Registries that are spoken to without TLS, as `HOST:PORT`, besides those on the loopback link.
    pub insecure: Vec<String>,
    /// How many connections there may be at once.
    pub max_connections: usize,
}
