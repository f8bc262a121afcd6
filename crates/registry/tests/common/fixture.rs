//! An image for tests: a config and layers that nobody unpacks.

use image::{
    config::{ImageConfig, RootFs},
    digest::Digest,
    manifest::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, descriptor},
    reference::Reference,
    store::Store,
};
use oci_spec::image::Descriptor;
use serde_json::json;

use super::script::{Reply, Request};

/// An image.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
}

/// Bytes that differ from seed to seed and do not repeat (xorshift).
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

impl Fixture {
    /// An image with layers of these sizes, for this host's platform.
    pub fn new(sizes: &[usize]) -> Self {
        Self::with(sizes, |_| ())
    }

    /// The same, with a config that `change` has changed.
    pub fn with(sizes: &[usize], change: impl FnOnce(&mut ImageConfig)) -> Self {
        let layers: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(at, size)| noise(at as u64 + 1, *size)).collect();
        let diff_ids = layers.iter().map(|layer| Digest::of(layer)).collect();
        let mut config = ImageConfig {
            rootfs: RootFs { kind: "layers".into(), diff_ids },
            ..ImageConfig::scratch()
        };
        change(&mut config);
        let config = serde_json::to_vec(&config).unwrap();
        let mut fixture = Self { config, layers, manifest: Vec::new() };
        let layers: Vec<Descriptor> =
            fixture.layers.iter().map(|layer| at(OCI_LAYER, layer)).collect();
        fixture.describe(&layers);
        fixture
    }

    /// Has the manifest say that these are the layers.
    pub fn describe(&mut self, layers: &[Descriptor]) {
        self.manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": at(OCI_CONFIG, &self.config), "layers": layers,
        }))
        .unwrap();
    }

    /// Where its manifest is.
    pub fn descriptor(&self) -> Descriptor {
        at(OCI_MANIFEST, &self.manifest)
    }

    /// How an honest registry answers, which has it as `class/hello:1`.
    pub fn answer(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap();
        let manifest = Digest::of(&self.manifest).to_string();
        if path == "/v2/class/hello/manifests/1" || path.ends_with(&manifest) {
            let header = ("Content-Type", OCI_MANIFEST);
            return Reply::new(200).header(header.0, header.1).body(&self.manifest);
        }
        let wanted = path.rsplit('/').next().unwrap();
        let blobs = self.layers.iter().chain([&self.config]);
        match blobs.into_iter().find(|blob| Digest::of(blob).to_string() == wanted) {
            Some(blob) => Reply::range_of(request, blob),
            None => Reply::error(404, "BLOB_UNKNOWN", "there is none"),
        }
    }

    /// Puts it into `store` under `name`.
    pub fn keep(&self, store: &Store, name: &Reference) {
        for blob in self.layers.iter().chain([&self.config, &self.manifest]) {
            store.add(blob).unwrap();
        }
        store.tag(name, &self.descriptor()).unwrap();
    }
}

/// A descriptor of `bytes`.
pub fn at(media_type: &str, bytes: &[u8]) -> Descriptor {
    descriptor(media_type, &Digest::of(bytes), bytes.len() as u64)
}
