//! Progress: what the caller learns while a transfer runs.

use std::time::Duration;

use image::{config::ImageConfig, digest::Digest};
use oci_spec::image::{Descriptor, ImageManifest};

use super::Failure;

/// What happens to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState {
    /// It is there already, at the side it goes to.
    Exists,
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes are on the way.
    Transferring,
    /// All of it has arrived and was verified.
    Done,
}

/// Told what happens, from several threads at once. The default does nothing.
pub trait Progress: Sync {
    /// The image whose layers are about to arrive; not called by a push.
    fn on_image(&self, _manifest: &ImageManifest, _config: &ImageConfig) {}

    /// There is a layer, the lowest being 0, of `total` bytes.
    fn layer(&self, _index: usize, _digest: &Digest, _total: u64) {}

    /// So many bytes of a layer have gone over; fewer than before if it had to begin anew.
    fn position(&self, _index: usize, _bytes: u64) {}

    /// What happens to a layer now.
    fn state(&self, _index: usize, _state: LayerState) {}

    /// A layer is in the store, and can be unpacked while others arrive. The next layer of this
    /// thread waits for the return.
    fn on_layer(&self, _index: usize, _layer: &Descriptor) {}

    /// A request failed and is sent once more after `pause`.
    fn retrying(&self, _attempt: u32, _pause: Duration, _failure: &Failure) {}

    /// Something that its user should know, and that is not an error.
    fn note(&self, _text: &str) {}

    /// Whether to stop; asked again and again.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody is told.
impl Progress for () {}
