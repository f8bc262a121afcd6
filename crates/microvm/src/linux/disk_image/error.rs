//! Why a directory could not be made a disk.

use std::{io, path::PathBuf};

/// Why a directory could not be made a disk.
#[derive(Debug, thiserror::Error)]
pub enum RootDiskError {
    /// There is no such program.
    #[error("mke2fs is not installed")]
    NoMke2fs,
    /// There is one, of another package.
    #[error("{program:?} is not the mke2fs of e2fsprogs, which alone can fill a disk")]
    OtherMke2fs {
        /// The program.
        program: PathBuf,
    },
    /// The layers could not be merged for it.
    #[error("merge the layers by overlayfs, which needs root and Linux 6.5")]
    Layers(#[source] io::Error),
    /// It did not work.
    #[error("run mke2fs")]
    Failed(#[source] io::Error),
}
