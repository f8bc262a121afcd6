//! How `isolab image pull`, `push` and `login` reach a registry.

use std::path::PathBuf;

use clap::Args;
use registry::{
    client::{Client, ClientOptions, Credentials},
    credentials::{CredentialsError, DockerConfig},
};

use super::of_image;
use crate::failure::Failure;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArguments {
    /// Also trust the certificates in this PEM file
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Use plain HTTP for a registry that is not on this host; passwords and images can be read and
    /// changed on the way
    #[arg(long)]
    plain_http: bool,
}

impl ConnectionArguments {
    /// A client with the credentials of `isolab image login` and `docker login`.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let credentials = match DockerConfig::of_user() {
            Ok(config) => Credentials::Docker(config),
            // Somebody without a home has no credentials.
            Err(CredentialsError::NoDirectory) => Credentials::Anonymous,
            Err(error) => return Err(of_image(error)),
        };
        Ok(self.client_with(credentials))
    }

    pub(super) fn client_with(&self, credentials: Credentials) -> Client {
        Client::new(ClientOptions {
            cacert: self.cacert.clone(),
            plain_http: self.plain_http,
            credentials,
            ..ClientOptions::default()
        })
    }
}
