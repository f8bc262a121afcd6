//! How an engine is set up.

use std::{net::SocketAddr, path::PathBuf};

/// The options of `isolab engine`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The unix socket that it listens at, if it does.
    pub socket: Option<PathBuf>,
    /// Where in the network it listens, if it does.
    pub tcp: Option<Tcp>,
    /// The group that may use the socket besides its owner, by its number; `None` means no one.
    pub group: Option<u32>,
    /// The directory of its containers, volumes and networks.
    pub data: PathBuf,
    /// Registries that are spoken to without TLS, as `HOST:PORT`, besides those on the loopback link.
    pub insecure: Vec<String>,
    /// How many connections there may be at once.
    pub max_connections: usize,
}

/// An address of the network, where only clients with a certificate are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// The address.
    pub address: SocketAddr,
    /// The daemon's certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// The authorities that sign the clients' certificates (PEM).
    pub clients: PathBuf,
}
