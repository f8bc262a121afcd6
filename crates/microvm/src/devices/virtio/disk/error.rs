//! Why a file cannot be a disk.

use std::io;

use super::access::{Access, SECTOR};
use crate::devices::virtio::image_format::ImageFormat;

/// Why a file cannot be a guest's disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It cannot be opened.
    #[error("open it for {access}")]
    Open {
        /// For what.
        access: Access,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is a folder, a pipe, a terminal.
    #[error("it is neither a file nor a disk")]
    NoDisk,
    /// Its bytes are not those of the disk.
    #[error("it is {}, and only raw images are supported", .0.name)]
    NotRaw(ImageFormat),
    /// Its size is not a multiple of the sector size.
    #[error("its size of {bytes} bytes is not a multiple of the sector size, {SECTOR} bytes")]
    Size {
        /// Its size.
        bytes: u64,
    },
    /// Another guest has it.
    #[error("it is in use by another guest")]
    InUse,
    /// It cannot be locked.
    #[error("lock it")]
    Lock(#[source] io::Error),
}
