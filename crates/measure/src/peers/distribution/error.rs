//! Why a distribution could not be made.

use std::{io, path::PathBuf};

use microvm::linux::RootDiskError;

/// What went wrong with a distribution.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    /// Neither the variable nor the home is set.
    #[error("no directory for a distribution: neither XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    /// A program is missing on the host.
    #[error("{program} is not installed on this host")]
    NotInstalled {
        /// Its name.
        program: &'static str,
    },
    /// There is no mke2fs that can fill a disk.
    #[error("make the distribution's disk")]
    NoMke2fs(#[source] RootDiskError),
    /// apt has no lists of a distribution that is known here.
    #[error("apt on this host has no package lists of Debian or Ubuntu")]
    NoSources,
    /// A program could not be run.
    #[error("run {program}")]
    Run {
        /// Which one.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {messages}")]
    Failed {
        /// Which one.
        program: &'static str,
        /// The last that it wrote to standard error.
        messages: String,
    },
    /// What was installed has another shape than was expected.
    #[error("the distribution has no {part}")]
    Incomplete {
        /// What is not in it.
        part: &'static str,
    },
    /// A file could not be written.
    #[error("write {path:?}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The caller wanted no more.
    #[error("making the distribution's disk was interrupted; partial files were removed")]
    Interrupted,
}

impl DistributionError {
    /// What to do about it, where that is known.
    pub fn fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCache => "set HOME",
            Self::NotInstalled { program: "mmdebstrap" } => "sudo apt-get install mmdebstrap",
            Self::NotInstalled { program: "setpriv" | "unshare" } => {
                "sudo apt-get install util-linux"
            }
            Self::NotInstalled { .. } => {
                "only on Debian, Ubuntu and what is made of them: the distribution comes by apt-get"
            }
            Self::NoMke2fs(_) => "sudo apt-get install e2fsprogs",
            Self::NoSources => "sudo apt-get update",
            Self::Failed { messages, .. } if is_about_users(messages) => {
                "sudo apt-get install uidmap, or call isolab by sudo"
            }
            Self::Failed { messages, .. } if messages.contains("No space") => {
                "free 1 GiB in TMPDIR and 1 GiB in XDG_CACHE_HOME, or set them to directories on \
                 another disk"
            }
            Self::Failed { messages, .. } if messages.contains("404") => {
                "apt's lists are old: `sudo apt-get update`"
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or set XDG_CACHE_HOME to a directory on another disk"
            }
            Self::Failed { .. } | Self::Interrupted => {
                "try again: `isolab kernel get --distribution`"
            }
            _ => return None,
        })
    }
}

/// Whether mmdebstrap could not get the user ids that the files of a distribution belong to.
fn is_about_users(messages: &str) -> bool {
    ["idmap", "subuid", "subgid", "unshare"].iter().any(|word| messages.contains(word))
}
