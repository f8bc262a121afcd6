//! Why a layer cannot be unpacked.

use std::io;

/// A layer that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive cannot be read: it is cut off, or not an archive.
    #[error("read the archive")]
    Read(#[from] io::Error),
    /// A name leads out of the layer, or is none.
    #[error("the archive's entry {name:?}: {why}")]
    Name {
        /// The name, cut off if it is long.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An entry cannot be made.
    #[error("unpack {name:?}: {action}{}", way_out(source))]
    Entry {
        /// The name, cut off if it is long.
        name: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// More of something than there may be.
    #[error("the archive has more than {limit} {what}")]
    TooMuch {
        /// What it has too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
}

fn way_out(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": the disk is full; `isolab image prune --all` makes room"
        }
        _ => "",
    }
}

/// Enough of a hostile name to recognize it.
pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(200).collect()
}

/// The error of doing `action` with the entry `name`.
pub(super) fn failed<E: Into<io::Error>>(
    name: &[u8],
    action: &'static str,
) -> impl FnOnce(E) -> LayerError {
    let name = shown(name);
    move |source| LayerError::Entry { name, action, source: source.into() }
}

/// An archive that cannot be right.
pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
