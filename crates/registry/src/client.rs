//! The client: images from a registry into the store, and back.
//!
//! ```text
//!   Client ── pull ──> session ──> transport ──> registry
//!          ── push ──>  │ auth, redirects    │ TLS, time-outs, limits
//! ```
//!
//! Every byte from a registry is hostile: nothing is named before its digest was verified, nothing
//! is read without a limit, and nobody waits for ever. What a failure interrupts goes on from there.
//!
//! Source: OCI distribution specification 1.1.

mod auth;
mod challenge;
mod download;
mod error;
mod http_error;
mod manifests;
mod message;
mod origins;
mod parallel;
mod progress;
mod pull;
mod push;
mod retry;
mod session;
mod tags;
mod tls;
mod token;
mod transport;
mod upload;
mod url;

use std::{path::PathBuf, time::Duration};

use image::{manifest::Platform, reference::Reference, store::Store};
use oci_spec::image::Descriptor;

pub use error::{ClientError, Failure};
pub use progress::{LayerState, Progress};

use crate::credentials::{Credential, DockerConfig};
use pull::Pull;
use push::Push;
use session::Session;
use transport::{IDLE, Transport};

type Result<T> = std::result::Result<T, ClientError>;

/// What the client shows a registry that asks who it is.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// This, to whatever registry it is.
    Given(Credential),
    /// What `docker` would show it.
    Docker(DockerConfig),
}

/// How a client talks to registries.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// A file of certificates in PEM form that are trusted beside the system's.
    pub cacert: Option<PathBuf>,
    /// Whether registries are asked by plain HTTP, also those elsewhere.
    pub plain_http: bool,
    /// What a registry is shown that asks.
    pub credentials: Credentials,
    /// How the client is called in the registry's log.
    pub user_agent: String,
    /// The largest layer that is fetched.
    pub max_layer: u64,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long a server may say nothing.
    pub idle: Duration,
    /// How long the first of several attempts is waited for, about.
    pub backoff: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            cacert: None,
            plain_http: false,
            credentials: Credentials::Anonymous,
            user_agent: concat!("isolab/", env!("CARGO_PKG_VERSION")).into(),
            max_layer: 100 << 30,
            connect: Duration::from_secs(15),
            idle: IDLE,
            backoff: Duration::from_millis(500),
        }
    }
}

/// A client of registries. It keeps connections, and can be shared by threads.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client that has no connection yet.
    pub fn new(options: ClientOptions) -> Self {
        Self { transport: Transport::new(options) }
    }

    /// Fetches what `reference` names, for `platform`, and names it so in the store. Returns its
    /// descriptor: of an index, if it is one.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched. What has arrived stays, and the next pull goes on from there.
    pub fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        platform: &Platform,
        progress: &dyn Progress,
    ) -> Result<Descriptor> {
        let pulled = self.session(reference).and_then(|session| {
            Pull { session: &session, store, reference, platform, progress }.run()
        });
        pulled.map_err(|failure| failure.of("pull", reference))
    }

    /// Sends what `reference` names in the store to its registry; only what is missing there goes
    /// over. Returns the descriptor of what the registry has under that name now.
    ///
    /// # Errors
    ///
    /// When it is not in the store, or cannot be sent.
    pub fn push(
        &self,
        store: &Store,
        reference: &Reference,
        progress: &dyn Progress,
    ) -> Result<Descriptor> {
        let pushed = self.session(reference).and_then(|session| {
            let scope = push::scope(reference.repository());
            Push { session: &session, store, reference, scope, progress }.run()
        });
        pushed.map_err(|failure| failure.of("push", reference))
    }

    /// The tags of the repository of `reference`.
    ///
    /// # Errors
    ///
    /// When the registry does not tell.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        let listed = self.session(reference).and_then(|session| tags::list(&session, reference));
        listed.map_err(|failure| failure.of("list the tags of", &reference.name()))
    }

    /// Deletes from the registry what `reference` names: the tag, or with a digest the manifest
    /// and all tags of it.
    ///
    /// # Errors
    ///
    /// When it does not exist, or the registry does not allow it.
    pub fn delete(&self, reference: &Reference) -> Result<()> {
        let deleted = self.session(reference).and_then(|session| tags::delete(&session, reference));
        deleted.map_err(|failure| failure.of("delete", reference))
    }

    /// Asks `registry` whether it accepts the client's credentials.
    ///
    /// # Errors
    ///
    /// When it does not, or cannot be asked.
    pub fn check_login(&self, registry: &str) -> Result<()> {
        let checked = Session::open(&self.transport, registry)
            .and_then(|session| tags::check_login(&session));
        checked.map_err(|failure| failure.of("log in to", registry))
    }

    fn session(&self, reference: &Reference) -> std::result::Result<Session<'_>, Failure> {
        Session::open(&self.transport, reference.registry())
    }
}
