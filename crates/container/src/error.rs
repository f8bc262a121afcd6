//! Why a container could not be made.

use std::{io, path::PathBuf};

use nix::errno::Errno;
use sandbox::{LedgerError, Written};

/// A result of the contract, or with an error of this crate.
pub(crate) type Result<T, E = sandbox::Error> = std::result::Result<T, E>;

/// The name of this sandbox in tables and messages.
pub(crate) const NAME: &str = "container";

/// A step of a container that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step of the child failed, between `clone3` and `execve`.
    #[error("inside the container: {step}")]
    Child {
        /// The call and its operands.
        step: String,
        /// Why it failed.
        #[source]
        errno: Errno,
    },
    /// The child was killed before it executed its program.
    #[error(
        "the container was killed during: {step}; if it has a memory limit, it is too small to start in"
    )]
    KilledInside {
        /// The step it was killed in.
        step: String,
    },
    /// A memory limit in which a child that waits for its launcher may not start.
    #[error("a memory limit of {bytes} bytes is too small with a user namespace or links")]
    TooLittleMemory {
        /// The limit.
        bytes: u64,
    },
    /// A system call of the launcher failed.
    #[error("{step}")]
    Call {
        /// The call and its operands.
        step: String,
        /// Why it failed.
        #[source]
        errno: Errno,
    },
    /// A file could not be read or written.
    #[error("{action} {path:?}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A limit needs a controller that no writable cgroup hierarchy has.
    #[error("no writable cgroup hierarchy has the controller {controller:?}: {why}")]
    NoController {
        /// The controller.
        controller: &'static str,
        /// What was found instead.
        why: String,
    },
    /// The root directory is not a directory.
    #[error("the root {path:?} is no directory that can be entered")]
    NoRoot {
        /// The directory.
        path: PathBuf,
        /// Why it cannot be entered.
        #[source]
        source: io::Error,
    },
    /// A string for the kernel has a null inside.
    #[error("{text:?} has a null character inside, which no path or argument may have")]
    NulInside {
        /// The string.
        text: String,
    },
    /// A path that the options of an overlay cannot express.
    #[error(
        "the path {path:?} has a ',', ':' or '\\' inside, which the options of an overlay cannot express"
    )]
    OverlayPath {
        /// The path.
        path: PathBuf,
    },
    /// An overlay of nothing.
    #[error("an overlay needs at least one lower directory")]
    NoLowers,
    /// No directory of the host can be mounted on without covering a layer.
    #[error("an overlay needs one of /tmp, /mnt, /run, /var, /opt, /srv without a layer below it")]
    NoStage,
    /// The ledger refused.
    #[error("write the container down in the ledger")]
    Ledger(#[from] LedgerError),
    /// There is no running container of that name.
    #[error("there is no running container {name:?}: `isolab ps` lists them")]
    NotRunning {
        /// The name.
        name: String,
    },
    /// No free network was found for a pair of links.
    #[error("all networks 10.x.x.x/30 are in use on this host")]
    NoAddress,
    /// The kernel's answer on a netlink socket was not understood.
    #[error("the kernel's answer to {request} was not understood")]
    Netlink {
        /// The request.
        request: &'static str,
    },
}

/// Turns a failed call of the launcher into its error.
pub(crate) fn call(step: impl Into<String>) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::Call { step: step.into(), errno }
}

/// Turns a failed file operation into its error.
pub(crate) fn file(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { action, path: path.into(), source }
}

impl Error {
    fn errno(&self) -> Option<Errno> {
        match self {
            Self::Child { errno, .. } | Self::Call { errno, .. } => Some(*errno),
            Self::File { source, .. } => source.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }

    fn fix(&self) -> Option<String> {
        Some(
            match (self, self.errno()) {
                (Self::NoController { .. }, _) => {
                    "leave the limit out, run as root, or run below a delegated cgroup: \
                 systemd-run --user --scope -p Delegate=yes isolab ..."
                }
                (Self::Child { .. } | Self::Call { .. }, Some(Errno::EPERM | Errno::EACCES)) => {
                    "run as root, or see `isolab doctor` for what this host lets a user do"
                }
                (Self::Call { .. }, Some(Errno::ENOSPC)) => {
                    "a limit of namespaces is reached: see /proc/sys/user/max_*_namespaces"
                }
                (Self::NoRoot { .. }, _) => "give an existing directory with the program in it",
                (Self::Child { .. }, Some(Errno::ENOMEM)) => "raise --memory",
                (Self::TooLittleMemory { .. }, _) => "use at least --memory 4M",
                (Self::KilledInside { .. }, _) => "raise --memory",
                _ => return None,
            }
            .to_owned(),
        )
    }
}

impl From<Error> for sandbox::Error {
    fn from(error: Error) -> Self {
        let fix = error.fix();
        Self::Failed { sandbox: NAME, source: Box::new(error), fix, written: Written::default() }
    }
}
