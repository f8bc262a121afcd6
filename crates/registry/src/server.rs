//! The server: a registry of one's own.
//!
//! ```text
//!   connection ── TLS ──> who is it? ──> route ──> handler ──> storage
//!                          auth          /v2/..    blobs, uploads, manifests, lists
//! ```
//!
//! Clients are hostile: names in paths are read by the grammar before they are used, bytes are
//! verified before they have a name, bodies are streamed, and whoever is silent is hung up on.
//!
//! Source: OCI distribution specification 1.1.

mod auth;
mod blobs;
mod body;
mod boot;
mod collect;
#[cfg(test)]
mod collect_tests;
pub mod connections;
mod directory;
mod error;
mod handler;
mod layout;
mod lists;
mod log;
mod manifests;
mod page;
mod quota;
mod response;
pub mod route;
mod serve;
mod serve_error;
mod shape;
mod state;
mod storage;
pub mod tls;
mod upload_requests;
mod uploads;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use auth::{Users, UsersError};
pub use collect::Collected;
pub use handler::Handler;
pub use serve::{serve, terminated};
pub use serve_error::ServeError;

/// How a registry is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens. Port 0 means a free one.
    pub listen: SocketAddr,
    /// Where images are kept.
    pub data: PathBuf,
    /// Who may use it; everybody, if nothing is given.
    pub htpasswd: Option<PathBuf>,
    /// Its certificates and its key, both in PEM form; without, it speaks plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether nothing can be pushed or deleted.
    pub read_only: bool,
    /// The largest blob, in bytes.
    pub max_blob: u64,
    /// The most that all blobs may take, in bytes.
    pub max_total: Option<u64>,
    /// After how long an upload is given up that nobody goes on with.
    pub upload_expiry: Duration,
    /// How often what nothing names any more is removed.
    pub collect_every: Duration,
    /// Whether what is acknowledged was written through to the disk.
    pub sync: bool,
    /// How long a client may be silent.
    pub idle: Duration,
    /// How many connections there may be.
    pub max_connections: usize,
}

impl Options {
    /// A registry for this host alone, with images in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            data: data.into(),
            htpasswd: None,
            tls: None,
            read_only: false,
            max_blob: 64 << 30,
            max_total: None,
            upload_expiry: Duration::from_secs(24 * 3600),
            collect_every: Duration::from_secs(3600),
            sync: false,
            idle: Duration::from_secs(60),
            max_connections: 512,
        }
    }
}
