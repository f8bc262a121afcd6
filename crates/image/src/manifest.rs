//! Manifests: which config and which layers an image consists of, and for which platform.
//!
//! ```text
//!   index ──> manifest (linux/amd64) ──> config
//!         └─> manifest (linux/arm64)  └─> layer, layer, ..     each arrow: media type, digest, size
//! ```
//!
//! A manifest comes from a registry or an archive, and is hostile: it is read only up to a size,
//! must be what it says it is, and what it points to is checked by digest and size.
//!
//! Source: OCI image specification 1.1; Docker image manifest version 2, schema 2.

use std::fmt;

use oci_spec::image::{Arch, Descriptor, ImageIndex, ImageManifest, MediaType, Os};
use serde::Deserialize;

use crate::{
    compression::Compression,
    digest::{Digest, DigestError},
};

/// No manifest, index or config may be larger, as for other registries and clients.
pub const MAX_BYTES: u64 = 4 << 20;

/// More layers than overlayfs takes (OVL_MAX_STACK) cannot become a root.
pub const MAX_LAYERS: usize = 500;

/// Docker's media types, in the order manifest, index, config, layer.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The media type of Docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The media type of Docker's layers.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The media type of OCI manifests.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of OCI indexes.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of OCI image configs.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of OCI layers that gzip has compressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What can stand behind a reference.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// One image.
    Manifest(Box<ImageManifest>),
    /// Images for several platforms.
    Index(Box<ImageIndex>),
}

/// A manifest or an index that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is larger than [`MAX_BYTES`].
    #[error("the {what} has {bytes} bytes; the limit is {MAX_BYTES}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How large it is.
        bytes: u64,
    },
    /// It is not JSON, or a field is missing or of another type.
    #[error("invalid {what}")]
    Json {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It contradicts itself.
    #[error("invalid {what}: {why}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A digest in it is none.
    #[error("invalid digest in the manifest")]
    Digest(#[from] DigestError),
    /// It is of a type that isolab does not know.
    #[error("unsupported media type {media_type:?} of {what}")]
    MediaType {
        /// What it is.
        what: String,
        /// The type.
        media_type: String,
    },
    /// A layer that is kept somewhere else than in the registry.
    #[error(
        "layer {digest} is a foreign layer, to be fetched from a URL of the manifest's choice: refused"
    )]
    ForeignLayer {
        /// The layer.
        digest: String,
    },
    /// The index has no image for this platform.
    #[error("no image for {platform}: there is {found}")]
    Platform {
        /// What was asked for.
        platform: Platform,
        /// What there is instead.
        found: String,
    },
}

/// Where an image runs: `linux/amd64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// The system: `linux`.
    pub os: String,
    /// The processor: `amd64`.
    pub architecture: String,
    /// The variant of it: `v7`; empty if there is none.
    pub variant: String,
}

impl Platform {
    /// This host's: isolab runs on 64-bit x86 Linux alone.
    pub fn host() -> Self {
        Self { os: "linux".into(), architecture: "amd64".into(), variant: String::new() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &*self.variant {
            "" => Ok(()),
            variant => write!(formatter, "/{variant}"),
        }
    }
}

impl std::str::FromStr for Platform {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/').map(str::to_ascii_lowercase);
        let (os, architecture) = (parts.next(), parts.next());
        let (Some(os), Some(architecture)) = (os, architecture.filter(|part| !part.is_empty()))
        else {
            return Err("not OS/ARCHITECTURE, such as linux/amd64");
        };
        let architecture = match &*architecture {
            "x86_64" | "x86-64" => "amd64".into(),
            "aarch64" => "arm64".into(),
            _ => architecture,
        };
        let variant = parts.next().unwrap_or_default();
        if os.is_empty() || parts.next().is_some() {
            return Err("not OS/ARCHITECTURE, such as linux/amd64");
        }
        Ok(Self { os, architecture, variant })
    }
}

/// The part of both documents that tells them apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: Option<u32>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index. `media_type` is what the registry or a descriptor said it is.
    ///
    /// # Errors
    ///
    /// When it is neither, or could be taken for both, or is not of that media type.
    pub fn read(bytes: &[u8], media_type: Option<&str>) -> Result<Self, ManifestError> {
        let what = "manifest";
        check_size(what, bytes.len() as u64)?;
        let json = |source| ManifestError::Json { what, source };
        let shape: Shape = serde_json::from_slice(bytes).map_err(json)?;
        let invalid = |why: &str| ManifestError::Invalid { what, why: why.into() };
        match shape.schema_version {
            Some(2) => {}
            Some(1) => return Err(invalid("schema 1 is not supported; push the image again")),
            _ => return Err(invalid("schemaVersion is not 2")),
        }
        let is_index = match (shape.manifests, shape.layers.is_some() || shape.config.is_some()) {
            (Some(_), false) => true,
            (None, true) => false,
            // One client would take it for an index, another for a manifest (CVE-2021-41190).
            (Some(_), true) => return Err(invalid("it has both manifests and layers")),
            (None, false) => return Err(invalid("it has neither manifests nor layers")),
        };
        for media_type in [media_type, shape.media_type.as_deref()].into_iter().flatten() {
            let expected = match media_type {
                OCI_INDEX | DOCKER_INDEX => true,
                OCI_MANIFEST | DOCKER_MANIFEST => false,
                other => {
                    let (what, media_type) =
                        ("a manifest".into(), other.chars().take(200).collect());
                    return Err(ManifestError::MediaType { what, media_type });
                }
            };
            if expected != is_index {
                let why = format!("its content is not of its media type {media_type}");
                return Err(ManifestError::Invalid { what, why });
            }
        }
        if is_index {
            let index = serde_json::from_slice(bytes).map_err(json)?;
            return Ok(Self::Index(Box::new(index)));
        }
        let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(json)?;
        if manifest.layers().len() > MAX_LAYERS {
            let count = manifest.layers().len();
            let why = format!("it has {count} layers; overlayfs takes {MAX_LAYERS}");
            return Err(ManifestError::Invalid { what, why });
        }
        Ok(Self::Manifest(Box::new(manifest)))
    }
}

/// Refuses what is larger than any honest manifest, before it is read.
///
/// # Errors
///
/// When it is larger than [`MAX_BYTES`].
pub fn check_size(what: &'static str, bytes: u64) -> Result<(), ManifestError> {
    match bytes > MAX_BYTES {
        true => Err(ManifestError::TooLarge { what, bytes }),
        false => Ok(()),
    }
}

/// The digest of what `descriptor` points to.
///
/// # Errors
///
/// When its algorithm is not supported.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest, ManifestError> {
    Ok(descriptor.digest().to_string().parse()?)
}

/// A descriptor of what has this digest and size.
pub fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Descriptor {
    let parsed = digest.to_string().parse::<oci_spec::image::Digest>();
    let digest = parsed.expect("isolab's digests are a subset of the specification's");
    Descriptor::new(MediaType::from(media_type), size, digest)
}

/// How the layer behind `descriptor` is compressed, by its media type.
///
/// # Errors
///
/// When it is not a layer's media type, or that of a foreign layer.
pub fn layer_compression(descriptor: &Descriptor) -> Result<Compression, ManifestError> {
    let media_type = descriptor.media_type().to_string();
    let foreign = media_type.contains("foreign") || media_type.contains("nondistributable");
    if foreign || descriptor.urls().as_ref().is_some_and(|urls| !urls.is_empty()) {
        return Err(ManifestError::ForeignLayer { digest: descriptor.digest().to_string() });
    }
    match &*media_type {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Compression::None),
        OCI_LAYER | DOCKER_LAYER => Ok(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
        other => Err(ManifestError::MediaType {
            what: format!("layer {}", descriptor.digest()),
            media_type: other.chars().take(200).collect(),
        }),
    }
}

/// The same layer with OCI's media type: in an OCI manifest, layers have those.
///
/// # Errors
///
/// Those of [`layer_compression`].
pub fn oci_layer(layer: &Descriptor) -> Result<Descriptor, ManifestError> {
    let media_type = match layer_compression(layer)? {
        Compression::Gzip => OCI_LAYER,
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
    };
    Ok(descriptor(media_type, &digest_of(layer)?, layer.size()))
}

/// The image of an index for `platform`.
///
/// # Errors
///
/// When there is none; the error lists the platforms that there are.
pub fn choose<'i>(
    index: &'i ImageIndex,
    platform: &Platform,
) -> Result<&'i Descriptor, ManifestError> {
    let fits = |entry: &&Descriptor| {
        platform_of(entry).is_some_and(|found| {
            let variant = platform.variant.is_empty() || found.variant == platform.variant;
            found.os == platform.os && found.architecture == platform.architecture && variant
        })
    };
    // An index of a single image need not say for what it is.
    let only = || match &index.manifests()[..] {
        [only] if only.platform().is_none() => Some(only),
        _ => None,
    };
    index.manifests().iter().find(fits).or_else(only).ok_or_else(|| {
        let found: Vec<String> =
            index.manifests().iter().filter_map(platform_of).map(|p| p.to_string()).collect();
        let found = match found.is_empty() {
            true => "none that names its platform".into(),
            false => found.join(", ").chars().take(500).collect(),
        };
        ManifestError::Platform { platform: platform.clone(), found }
    })
}

/// The platform that an entry of an index is for, unless it is an attestation.
pub fn platform_of(entry: &Descriptor) -> Option<Platform> {
    let platform = entry.platform().as_ref()?;
    let (os, architecture) = (os(platform.os()), architecture(platform.architecture()));
    let variant = platform.variant().clone().unwrap_or_default();
    (os != "unknown").then_some(Platform { os, architecture, variant })
}

fn os(os: &Os) -> String {
    os.to_string()
}

fn architecture(architecture: &Arch) -> String {
    architecture.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(platforms: &[&str]) -> ImageIndex {
        let entries: Vec<String> = platforms
            .iter()
            .map(|platform| {
                let (os, architecture) = platform.split_once('/').unwrap();
                let digest = Digest::of(platform.as_bytes());
                format!(
                    r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":1,"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
                )
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        match Document::read(text.as_bytes(), Some(OCI_INDEX)).unwrap() {
            Document::Index(index) => *index,
            Document::Manifest(_) => panic!("read as a manifest"),
        }
    }

    #[test]
    fn an_index_gives_the_image_of_the_platform_or_says_what_there_is() {
        let index = index_of(&["linux/arm64", "unknown/unknown", "linux/amd64"]);
        let found = choose(&index, &Platform::host()).unwrap();
        assert_eq!(digest_of(found).unwrap(), Digest::of(b"linux/amd64"));
        let index = index_of(&["linux/arm64", "unknown/unknown", "windows/amd64"]);
        let error = choose(&index, &Platform::host()).unwrap_err().to_string();
        assert_eq!(error, "no image for linux/amd64: there is linux/arm64, windows/amd64");
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        let digest = Digest::of(b"");
        let config = format!(r#""config":{{"mediaType":"x","digest":"{digest}","size":0}}"#);
        for (text, media_type, why) in [
            ("", None, "invalid manifest"),
            ("[]", None, "invalid manifest"),
            ("{}", None, "schemaVersion"),
            (r#"{"schemaVersion":1,"layers":[]}"#, None, "schema 1"),
            (r#"{"schemaVersion":2}"#, None, "neither"),
            (
                &format!(r#"{{"schemaVersion":2,"manifests":[],"layers":[],{config}}}"#),
                None,
                "both",
            ),
            (
                &format!(r#"{{"schemaVersion":2,"layers":[],{config}}}"#),
                Some(OCI_INDEX),
                "not of its media type",
            ),
            (
                &format!(
                    r#"{{"schemaVersion":2,"mediaType":"{DOCKER_INDEX}","layers":[],{config}}}"#
                ),
                None,
                "not of its",
            ),
            (
                &format!(r#"{{"schemaVersion":2,"layers":[],{config}}}"#),
                Some("text/html"),
                "text/html",
            ),
            (
                r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"x","digest":"../../x","size":0}}"#,
                None,
                "invalid manifest",
            ),
            (
                r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"x","digest":"sha256:0","size":-1}}"#,
                None,
                "invalid manifest",
            ),
        ] {
            let error = Document::read(text.as_bytes(), media_type).expect_err(text);
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
        let large = vec![b' '; usize::try_from(MAX_BYTES).unwrap() + 1];
        let error = Document::read(&large, None).unwrap_err();
        assert!(matches!(error, ManifestError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_foreign_layer_is_refused() {
        let digest = Digest::of(b"");
        for (media_type, urls) in [
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "[]"),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "[]"),
            (OCI_LAYER, r#"["https://example.org/x"]"#),
        ] {
            let text = format!(
                r#"{{"mediaType":"{media_type}","digest":"{digest}","size":0,"urls":{urls}}}"#
            );
            let layer: Descriptor = serde_json::from_str(&text).unwrap();
            let error = layer_compression(&layer).unwrap_err();
            assert!(matches!(error, ManifestError::ForeignLayer { .. }), "{error}");
        }
        let error = layer_compression(&descriptor("text/plain", &digest, 0)).unwrap_err();
        assert!(error.to_string().contains("unsupported media type \"text/plain\""), "{error}");
    }

    #[test]
    fn a_platform_is_read_as_docker_writes_it() {
        assert_eq!("linux/amd64".parse(), Ok(Platform::host()));
        assert_eq!("linux/x86_64".parse(), Ok(Platform::host()));
        assert_eq!("linux/arm/v7".parse::<Platform>().unwrap().to_string(), "linux/arm/v7");
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
