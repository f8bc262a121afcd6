//! Credentials: what a user shows a registry, kept where `docker` keeps it.
//!
//! ```text
//!   ~/.docker/config.json   ($DOCKER_CONFIG names another directory)
//!     "auths":       { "127.0.0.1:5000": { "auth": base64 of USER:PASSWORD } }
//!     "credHelpers": { "registry.example": "NAME" }   -> docker-credential-NAME, for this registry
//!     "credsStore":  "NAME"                           -> docker-credential-NAME, for all others
//! ```
//!
//! The file is replaced whole, readable by its owner alone, and keys that isolab does not know stay.
//!
//! Source: docs.docker.com, "docker login", "Credential stores".

mod docker_config;
mod helper;
mod secret;

use std::{io, path::PathBuf};

pub use docker_config::DockerConfig;
pub use secret::Secret;

/// What a user shows a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and its password.
    Password {
        /// The name.
        username: String,
        /// The password, or an access token in its place.
        password: Secret,
    },
    /// A token that the registry's token server gives others for.
    IdentityToken(Secret),
}

/// Credentials that cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nothing says where the file is.
    #[error("no directory for credentials: HOME is not set\nset DOCKER_CONFIG to a directory")]
    NoDirectory,
    /// The file cannot be used.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is not JSON, or not an object.
    #[error("{} is not a JSON object: {why}\ncorrect it, or move it away", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where it is not.
        why: String,
    },
    /// An entry is damaged.
    #[error("the credentials for {key} in {} are not base64 of USER:PASSWORD\n`isolab image login` writes them anew", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry's key.
        key: String,
    },
    /// A helper fails.
    #[error("credential helper {name}: {why}")]
    Helper {
        /// Its name in the file.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Where a credential was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptIn {
    /// In the file, which is not encrypted.
    File(PathBuf),
    /// By the helper of this name.
    Helper(String),
}
