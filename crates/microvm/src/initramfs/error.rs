//! Why an initramfs could not be made.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What is wrong with what was to go into an initramfs.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// Something of the host could not be read.
    #[error("read {path:?}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file became shorter after its length was noted.
    #[error("read {path:?}: it was truncated meanwhile")]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// The format counts to 4 GiB.
    #[error("{path:?} has {bytes} bytes; a file in an initramfs must be smaller than 4 GiB")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How long it is.
        bytes: u64,
    },
    /// The kernel skips what has a longer name.
    #[error("the path {path:?} is longer than 4095 bytes")]
    TooLongName {
        /// Which file.
        path: PathBuf,
    },
    /// The kernel reads a name up to its first zero.
    #[error("{path:?} contains a null byte")]
    ZeroInName {
        /// Which file.
        path: PathBuf,
    },
    /// A path goes outside of the root.
    #[error("{path:?} is outside the initramfs")]
    Outside {
        /// Which one.
        path: PathBuf,
    },
    /// Links lead to links without end, or through what is no directory.
    #[error("cannot resolve {path:?}: a symbolic link in it is a loop or points to a file")]
    Nowhere {
        /// Which one.
        path: PathBuf,
    },
    /// The program is not there.
    #[error("program {program:?} not found")]
    NoProgram {
        /// As it was asked for.
        program: PathBuf,
    },
    /// The program is nothing that Linux executes.
    #[error("{program:?} is not a program: {why}")]
    NotProgram {
        /// Its file.
        program: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// A shared library is not there.
    #[error("{program:?} needs the library {library:?}, which is not on this host")]
    NoLibrary {
        /// Which program or library needs it.
        program: PathBuf,
        /// Its name.
        library: String,
    },
    /// The archive could not be written.
    #[error("write the initramfs")]
    Write(#[source] io::Error),
}

impl InitramfsError {
    /// The program that cannot be run, if it is one's fault.
    pub(crate) fn program(&self) -> Option<&Path> {
        match self {
            Self::NotProgram { program, .. } | Self::NoLibrary { program, .. } => Some(program),
            _ => None,
        }
    }
}
