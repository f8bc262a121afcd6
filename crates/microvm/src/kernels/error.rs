//! Why there is no kernel for a guest.

use std::{io, path::PathBuf};

use crate::kernel::UnpackError;

/// What went wrong with kernels and their modules.
#[derive(Debug, thiserror::Error)]
pub enum KernelsError {
    /// Neither the variable nor the home is set.
    #[error("no directory for kernels: neither XDG_CACHE_HOME nor HOME is set")]
    NoPlace,
    /// There is none.
    #[error("this host has no readable kernel for a guest")]
    NoKernel,
    /// There is none of that name.
    #[error("unknown kernel {name:?}")]
    Unknown {
        /// The name.
        name: String,
        /// What there is instead.
        known: Vec<String>,
    },
    /// The choice was made, and then the kernel went away.
    #[error("the chosen kernel {name:?} no longer exists")]
    ChosenGone {
        /// Its name.
        name: String,
    },
    /// Something could not be read.
    #[error("read {path:?}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something could not be written.
    #[error("write {path:?}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There are none in the folder that was named.
    #[error("no kernel modules in {folder:?}")]
    NoModules {
        /// The folder.
        folder: PathBuf,
    },
    /// They are those of another kernel.
    #[error("the modules in {folder:?} are for the kernel {of}, and {kernel:?} is {name}")]
    OthersModules {
        /// Their folder.
        folder: PathBuf,
        /// The release that they are for.
        of: String,
        /// The kernel's file.
        kernel: PathBuf,
        /// Its release.
        name: String,
    },
    /// It is neither built in nor a file.
    #[error("the kernel of {folder:?} has no {module}, neither built in nor as a module")]
    NoModule {
        /// The folder of its modules.
        folder: PathBuf,
        /// The module's name.
        module: String,
    },
    /// A module could not be unpacked.
    #[error("unpack the module {path:?}")]
    DamagedModule {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: UnpackError,
    },
    /// A module does not fit into what is left of the guest's memory.
    #[error("the module {path:?} has more than {} KiB", limit >> 10)]
    LargeModule {
        /// Its file.
        path: PathBuf,
        /// How much there is room for.
        limit: u64,
    },
    /// The distribution's package client is none that is known here.
    #[error(
        "get a kernel: this host has no apt-get, the only package manager that isolab supports"
    )]
    NoClient,
    /// The client's program could not be run.
    #[error("run {program}")]
    Run {
        /// Which one.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// None of the packages of kernels is known to the client.
    #[error("apt knows none of the packages {}", tried.join(", "))]
    NoPackage {
        /// Those that were asked for.
        tried: Vec<String>,
    },
    /// A program of the client failed.
    #[error("{command} failed: {said}")]
    Client {
        /// What was run.
        command: String,
        /// The last that it said.
        said: String,
    },
    /// The packages have another shape than was expected.
    #[error("the package {package} contains no {part}")]
    Incomplete {
        /// Which package.
        package: String,
        /// What is not in it.
        part: &'static str,
    },
    /// The caller wanted no more.
    #[error("downloading the kernel was interrupted; partial files were removed")]
    Interrupted,
}

impl KernelsError {
    /// What to do about it, where that is known.
    pub(crate) fn fix(&self) -> Option<String> {
        let text = match self {
            Self::NoPlace => "set HOME",
            Self::NoKernel => "`isolab kernel get` gets one, and `--kernel FILE` names one",
            Self::Unknown { known, .. } if known.is_empty() => "`isolab kernel get` gets one",
            Self::Unknown { known, .. } => return Some(format!("there is {}", known.join(", "))),
            Self::ChosenGone { .. } => {
                "`isolab kernel list` shows what there is, `isolab kernel use NAME` chooses, \
                 `isolab kernel get` gets it again"
            }
            Self::NoModules { .. } | Self::OthersModules { .. } => {
                "name the kernel's own: as /lib/modules/RELEASE, or a root file system that has it"
            }
            Self::LargeModule { .. } => {
                "that is all that is left of the guest's memory: give it more (`--memory`) if the \
                 file is a module of the kernel's, or name other modules: `--modules DIRECTORY`"
            }
            Self::NoModule { .. } => {
                "take a distribution's cloud kernel (`isolab kernel get`), or name other modules: \
                 `--modules DIRECTORY`"
            }
            Self::NoClient => {
                "install a kernel with the package client of this distribution, or download one, \
                 and name it: `--kernel FILE`"
            }
            Self::NoPackage { .. } => {
                "apt's lists are empty, old or without kernels: `sudo apt-get update`; any other \
                 kernel serves too: `--kernel FILE`"
            }
            Self::Client { said, .. } if said.contains("404") => {
                "apt's lists are old: `sudo apt-get update`"
            }
            Self::Client { .. } | Self::Interrupted => "try again: `isolab kernel get`",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room, or set XDG_CACHE_HOME to a folder on another disk"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
