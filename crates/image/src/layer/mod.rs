//! Layers: a layer is a tar archive of what is added, changed and deleted over the layers below it.
//!
//! ```text
//!   archive                    directory of the layer, as overlayfs has it
//!   etc/passwd            ->   etc/passwd
//!   etc/.wh.motd          ->   etc/motd, a character device 0:0: there is no such file
//!   srv/.wh..wh..opq      ->   srv with the attribute overlay.opaque: nothing of the lower srv
//! ```
//!
//! Source: OCI image specification, "Image Layer Filesystem Changeset"; overlayfs.rst.

mod apply;
mod archive;
mod attributes;
mod blocks;
mod changes;
mod error;
mod lower;
mod packed;
mod records;
pub(crate) mod remove;
mod sparse;
mod tree;
mod writer;
mod xattrs;

pub use apply::{Applied, ApplyOptions, apply};
pub(crate) use archive::TarEntry;
pub use attributes::Attributes;
pub(crate) use blocks::Reader;
pub use changes::{ChangesError, ChangesOptions, changes};
pub use error::LayerError;
pub(crate) use packed::Packed;
pub(crate) use tree::is_opaque;
pub use writer::{LayerWriter, Node};
pub(crate) use xattrs::xattrs;

/// What begins the name of a whiteout.
pub const WHITEOUT: &[u8] = b".wh.";
/// The name of the file that makes its directory opaque.
pub const OPAQUE: &[u8] = b".wh..wh..opq";

#[cfg(test)]
mod changes_tests;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
