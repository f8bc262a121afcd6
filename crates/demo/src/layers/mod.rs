//! One image, several containers: what overlayfs makes of lower and upper while files are created,
//! changed and deleted.
//!
//! The image is a small directory made for it, or a real one; the containers are real ones. Their files are
//! changed through `/proc/PID/root`, which leads through the overlay as their own calls would.

mod directory;
mod draw;
mod image;
mod inside;
mod look;
mod notes;
mod operations;
mod page;
mod row;
mod source;
mod table;
mod words;

use serde::{Deserialize, Serialize};

pub use draw::{draw, summary};
pub use notes::SCRIPT;
pub use source::LayersDemo;

use crate::Language;

/// An overlay, name by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layers {
    /// The container that is looked at: 1 or 2.
    pub container: usize,
    /// All names that a layer has.
    pub rows: Vec<Row>,
    /// What the files of the image take on the disk, in bytes.
    pub lower_bytes: u64,
    /// The same of each container's upper layer; `None` where there is no such container.
    pub upper_bytes: [Option<u64>; 2],
    /// What the last key changed.
    #[serde(alias = "told")]
    pub last_change: LastChange,
    /// The directory on the host that holds all layers.
    #[serde(alias = "place")]
    pub directory: String,
    /// Why the picture is not the one that was asked for.
    pub note: Option<String>,
    /// The image, if it was not made for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<RealImage>,
}

/// An image whose layers are the lower ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealImage {
    /// Its name.
    pub name: String,
    /// How many layers it has.
    pub layers: usize,
}

/// A name in each of the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its path; that of a directory ends in a slash.
    pub path: String,
    /// In the image.
    pub lower: Option<Found>,
    /// In what the container wrote.
    pub upper: Option<Found>,
    /// In what the container sees.
    pub merged: Option<Found>,
    /// Whether the last key has changed it.
    pub changed: bool,
    /// The layer of a real image that it comes from; the lowest is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// A file, and its size in bytes.
    File(u64),
    /// A file in an upper layer that the lower layer has too, and its size in bytes.
    CopiedUp(u64),
    /// A directory; in an upper layer, one that is merged with the lower one's.
    Directory,
    /// A directory through which nothing of the lower layer is seen.
    Opaque,
    /// The mark that there is nothing.
    Whiteout,
}

/// What the last key changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastChange {
    /// The first container was started.
    Begun,
    /// A file was made that no layer had.
    Created {
        /// The file.
        path: String,
    },
    /// One byte was written to a file of the image.
    CopiedUp {
        /// The file.
        path: String,
        /// What was copied.
        bytes: u64,
        /// How long it took.
        microseconds: u64,
    },
    /// One byte was written to a file of the upper layer.
    Written {
        /// The file.
        path: String,
        /// How long it took.
        microseconds: u64,
    },
    /// A file of the image was deleted.
    Hidden {
        /// The file.
        path: String,
    },
    /// A file of the upper layer was deleted.
    Removed {
        /// The file.
        path: String,
    },
    /// A directory of the image was deleted and created again.
    Replaced {
        /// The directory.
        path: String,
        /// The attribute that marks it.
        mark: String,
    },
    /// The container was thrown away, and another one started.
    Renewed,
    /// Another container was started on the same image.
    Started,
    /// The other container is looked at.
    Turned,
    /// The key has nothing left to do.
    Enough,
}

impl Layers {
    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        key.to_digit(10).is_some_and(|number| number as usize == self.container)
    }
}

impl Row {
    /// Whether what is seen is the lower layer's.
    fn shines_through(&self) -> bool {
        self.upper.is_none() && self.lower.is_some() && self.merged.is_some()
    }
}
