//! Blobs and manifests, and digests of them.

use arbitrary::Arbitrary;
use image::digest::{Algorithm, Digest, Digester};
use serde_json::{Value, json};

/// What a digest is of.
#[derive(Debug, Arbitrary)]
pub enum Target {
    Blob(Content),
    Manifest(Manifest),
    Long(Content),
}

impl Target {
    pub fn digest(&self) -> Digest {
        match self {
            Self::Blob(content) => Digest::of(&content.bytes()),
            Self::Manifest(manifest) => Digest::of(&manifest.bytes()),
            Self::Long(content) => {
                let mut digester = Digester::new(Algorithm::Sha512);
                digester.update(&content.bytes());
                digester.finish()
            }
        }
    }
}

/// Bytes of a blob or of a body.
#[derive(Debug, Arbitrary)]
pub enum Content {
    Empty,
    Small(u8),
    Large(u8),
    Manifest(Manifest),
    Bytes(Vec<u8>),
}

impl Content {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Small(number) => vec![number % 3; 10],
            Self::Large(number) => vec![number % 3; 9000],
            Self::Manifest(manifest) => manifest.bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// A manifest of some small blobs, or an index of such manifests.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Manifest {
    Image { layers: u8, wrong_size: bool, has_subject: bool },
    Index { children: u8 },
}

pub const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

impl Manifest {
    fn layers(layers: u8) -> Vec<Value> {
        let all = (0..3).filter(|number| layers & 1 << number != 0);
        all.map(|number| descriptor(&Content::Small(number).bytes(), 0)).collect()
    }

    pub fn bytes(self) -> Vec<u8> {
        let manifest = match self {
            Self::Image { layers, wrong_size, has_subject } => {
                let mut manifest = json!({
                    "schemaVersion": 2, "mediaType": MEDIA_TYPE,
                    "config": descriptor(b"", u64::from(wrong_size)), "layers": Self::layers(layers),
                });
                if has_subject {
                    manifest["subject"] = descriptor(b"subject", 0);
                }
                manifest
            }
            Self::Index { children } => {
                let child = |layers| Self::Image { layers, wrong_size: false, has_subject: false };
                let all = (0..3).filter(|number| children & 1 << number != 0);
                let all = all.map(|number| descriptor(&child(number).bytes(), 0));
                json!({
                    "schemaVersion": 2, "mediaType": MEDIA_TYPE, "manifests": Vec::from_iter(all),
                })
            }
        };
        manifest.to_string().into()
    }
}

fn descriptor(bytes: &[u8], more: u64) -> Value {
    json!({ "mediaType": "x", "digest": Digest::of(bytes), "size": bytes.len() as u64 + more })
}
