//! What a client asks of a build.

use std::collections::BTreeMap;

use bollard_stubs::models::HostConfig;
use image::{dockerfile::scope::Given, reference::Reference};
use serde::de::DeserializeOwned;

use super::network::BuildNetwork;
use crate::images::{
    error::{ImageError, Result},
    names::name_to_give,
    pull::platform,
    registries::BuildAuth,
};

/// No list of arguments or labels is longer.
const MAX_JSON: usize = 1 << 20;

/// The query and the headers of `POST /build`.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Names for the image: `t`.
    pub tags: Vec<String>,
    /// The Dockerfile in the context; empty for `Dockerfile`.
    pub dockerfile: String,
    /// `buildargs`: a JSON object.
    pub build_args: String,
    /// `labels`: a JSON object.
    pub labels: String,
    /// The stage to build; empty for the last.
    pub target: String,
    /// Whether every step is made anew.
    pub no_cache: bool,
    /// Whether the images of FROM are fetched even if they are here.
    pub pull: bool,
    /// Whether it says that a container is removed after its command succeeded.
    pub remove: bool,
    /// The same after any command.
    pub force_remove: bool,
    /// Whether only the id is sent.
    pub quiet: bool,
    /// A Git repository or a URL with the context, which is refused.
    pub remote: String,
    /// `linux/amd64`; empty for this host's.
    pub platform: String,
    /// The network of commands, and the limits of their containers.
    pub host: HostConfig,
    /// What registries are shown.
    pub auth: BuildAuth,
}

impl Default for BuildRequest {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            dockerfile: String::new(),
            build_args: String::new(),
            labels: String::new(),
            target: String::new(),
            no_cache: false,
            pull: false,
            remove: true,
            force_remove: false,
            quiet: false,
            remote: String::new(),
            platform: String::new(),
            host: HostConfig::default(),
            auth: BuildAuth::default(),
        }
    }
}

impl BuildRequest {
    pub(super) fn tags(&self) -> Result<Vec<Reference>> {
        self.tags.iter().filter(|tag| !tag.is_empty()).map(|tag| name_to_give(tag, "")).collect()
    }

    /// A variable without a value is not given, as with docker.
    pub(super) fn arguments(&self) -> Result<Given> {
        let all: BTreeMap<String, Option<String>> = object("build arguments", &self.build_args)?;
        Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    pub(super) fn labels(&self) -> Result<Vec<(String, String)>> {
        let all: BTreeMap<String, String> = object("labels", &self.labels)?;
        Ok(all.into_iter().collect())
    }

    pub(super) fn network(&self) -> Result<BuildNetwork> {
        let mode = self.host.network_mode.as_deref().unwrap_or_default();
        BuildNetwork::read(mode).ok_or_else(|| {
            ImageError::Invalid(format!(
                "network {mode:?} is not supported for a build: use default, host or none"
            ))
        })
    }

    /// Refuses what is not supported.
    pub(super) fn check(&self) -> Result<()> {
        if !self.remote.is_empty() {
            return Err(ImageError::Unsupported(
                "a remote context is not supported: fetch it, and send it as the context".into(),
            ));
        }
        let (asked, host) = (platform(&self.platform)?, platform("")?);
        match asked == host {
            true => Ok(()),
            false => Err(ImageError::Invalid(format!(
                "this host cannot build for {asked}: its commands run on {host}"
            ))),
        }
    }
}

fn object<T: DeserializeOwned + Default>(what: &str, text: &str) -> Result<T> {
    let invalid = |why: String| ImageError::Invalid(format!("invalid {what}: {why}"));
    if text.len() > MAX_JSON {
        return Err(invalid(format!("more than {MAX_JSON} bytes")));
    }
    if text.is_empty() {
        return Ok(T::default());
    }
    let read: Result<Option<T>, _> = serde_json::from_str(text);
    Ok(read.map_err(|error| invalid(error.to_string()))?.unwrap_or_default())
}
