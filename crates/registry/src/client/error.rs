//! What can go wrong between this host and a registry.

use std::{io, time::Duration};

use image::{manifest::ManifestError, store::StoreError};

use crate::credentials::CredentialsError;

/// An operation on an image in a registry that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {object}")]
pub struct ClientError {
    /// What was tried: `pull`.
    pub action: &'static str,
    /// With which image or registry.
    pub object: String,
    /// Why it failed.
    #[source]
    pub failure: Box<Failure>,
}

/// Why an operation failed. Texts of the registry are cleaned and cut.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("connect to {host}{}", running(host))]
    Unreachable {
        /// The host.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// A connection ended too early.
    #[error("the connection to {host} broke")]
    Broken {
        /// The host.
        host: String,
        /// How.
        source: io::Error,
    },
    /// The other side is silent, or almost.
    #[error("{host} sent nothing for too long")]
    Stalled {
        /// The host.
        host: String,
    },
    /// The registry is overloaded or has a fault of its own.
    #[error("the registry answered {status}{}{}", colon(detail), later(*wait))]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The registry's own words.
        detail: String,
        /// When to try again.
        wait: Option<Duration>,
    },
    /// The registry refuses.
    #[error("the registry answered {status}{}", colon(detail))]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The registry's own words.
        detail: String,
    },
    /// The registry wants to know who asks.
    #[error(
        "{registry} asks for a user and a password, or has no such repository{}\nlog in with `isolab image login {registry}`",
        colon(detail)
    )]
    LoginNeeded {
        /// The registry.
        registry: String,
        /// The registry's own words.
        detail: String,
    },
    /// The registry does not accept the credentials, or not for this.
    #[error(
        "{registry} refused the credentials{}\nlog in as somebody who may with `isolab image login {registry}`",
        colon(detail)
    )]
    Denied {
        /// The registry.
        registry: String,
        /// The registry's own words.
        detail: String,
    },
    /// The name does not exist in the registry.
    #[error("no such image in {registry}: {name}{}", there_is(tags))]
    NotFound {
        /// The registry.
        registry: String,
        /// The repository and the tag or digest.
        name: String,
        /// Tags that the repository has.
        tags: Vec<String>,
    },
    /// The server's certificate cannot be trusted.
    #[error("the certificate of {host} is not accepted: {why}")]
    Certificate {
        /// The host.
        host: String,
        /// Why not, and the way out.
        why: String,
    },
    /// The server does not speak TLS.
    #[error(
        "{host} does not speak TLS\nif everybody on the way may read and change what it sends, `--plain-http` allows plain HTTP"
    )]
    NotTls {
        /// The host.
        host: String,
    },
    /// A file of certificates cannot be used.
    #[error("read certificates from {path}: {why}")]
    CertificateFile {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// What the server sends is not what the protocol allows.
    #[error("{host} does not keep to the protocol: {why}")]
    Protocol {
        /// The host.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The server sends the client somewhere it must not go.
    #[error("{host} leads to an address that is not followed: {why}")]
    Redirect {
        /// The host.
        host: String,
        /// Why it is not followed.
        why: &'static str,
    },
    /// More bytes than a document may have, or a layer should have.
    #[error("the {what} has more than {most} bytes")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How many were allowed.
        most: u64,
    },
    /// The registry's name for a content is not its digest.
    #[error("the {what} should be {claimed}, and the registry sends {found}")]
    Digest {
        /// What it is.
        what: &'static str,
        /// The digest it should have.
        claimed: String,
        /// The digest it has.
        found: String,
    },
    /// The user has stopped it.
    #[error("cancelled")]
    Cancelled,
    /// A manifest, an index or a config is invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user's credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl Failure {
    /// Names the operation and the object.
    pub(super) fn of(self, action: &'static str, object: &(impl ToString + ?Sized)) -> ClientError {
        ClientError { action, object: object.to_string(), failure: Box::new(self) }
    }

    /// Whether the same request can succeed a little later. Who was never reached has perhaps
    /// another name, and its user does not wait to learn that.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Stalled { .. } | Self::Busy { .. })
    }

    pub(super) fn protocol(host: &str, why: impl Into<String>) -> Self {
        Self::Protocol { host: host.into(), why: why.into() }
    }
}

fn colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn later(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!("\ntry again in {} s", wait.as_secs().max(1)))
}

fn running(host: &str) -> &'static str {
    match super::url::is_loopback(host) {
        true => "\nis the registry running? `isolab registry serve` starts one",
        false => "",
    }
}

fn there_is(tags: &[String]) -> String {
    match tags {
        [] => "\ncheck the name; `isolab image list` shows the images on this host".into(),
        tags => format!("\nthe repository has the tags {}", tags.join(", ")),
    }
}
