//! What a registry must know of a manifest: what it leads to.

use image::digest::Digest;
use serde::Deserialize;

/// What a registry must know of a manifest, whatever it is of.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shape {
    /// Of what type it says it is.
    #[serde(default)]
    pub(super) media_type: Option<String>,
    /// Of an artifact.
    #[serde(default)]
    pub(super) artifact_type: Option<String>,
    #[serde(default)]
    pub(super) config: Option<Target>,
    #[serde(default)]
    pub(super) layers: Vec<Target>,
    #[serde(default)]
    pub(super) manifests: Vec<Target>,
    /// What it refers to.
    #[serde(default)]
    pub(super) subject: Option<Target>,
    #[serde(default)]
    pub(super) annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What a descriptor leads to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) media_type: String,
    /// Of a foreign layer, which a registry need not have.
    #[serde(default)]
    urls: Vec<String>,
}

impl Shape {
    /// All that it leads to, foreign layers too.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.config.iter().chain(&self.layers).chain(&self.manifests)
    }

    /// The blobs that a registry must have for it.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Target> {
        self.config.iter().chain(&self.layers).filter(|target| target.urls.is_empty())
    }

    /// Reads the bytes of a manifest.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
