//! A host of its own for the student's program, so that this one is not harmed, whatever it does.
//!
//! ```text
//!   check      judges; a process of the real host, which the program cannot see
//!    `- warden   makes every mount read-only, then enters new namespaces: user, mount, uts, ipc,
//!        |       net, pid; everything below is in them
//!        `- init   process 1 there; starts the program, buries what it leaves, answers the check
//!            `- the student's program, root of a host that consists of namespaces
//! ```
//!
//! Mounts are made read-only *before* the user namespace, so root inside may not undo it
//! (mount_namespaces(7): such mounts are locked). Its ids are nobody's outside. When the check ends,
//! however it ends, init reads the end of its input and leaves, and the kernel takes away all that
//! was inside: processes, mounts, links, segments. Only cgroups outlive it; they are in the ledger.

mod furnish;
mod init;
mod warden;
mod words;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

pub(super) use warden::warden;
pub(super) use words::{Asked, Said};

/// What a program needs of its host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Setup {
    /// Its arguments: `name=value`.
    pub arguments: Vec<String>,
    /// Whether it is an ordinary user, number 1000, and not root of its host.
    pub ordinary: bool,
    /// Whether it may make cgroups, with limits of CPU, memory and processes.
    pub cgroups: bool,
    /// Whether it needs `/dev/kvm`.
    pub kvm: bool,
    /// Whether it may ask to be served in real time (sched(7)).
    pub realtime: bool,
    /// Programs of the host that it may start; no others, but itself.
    pub allowed: Vec<PathBuf>,
}

impl Setup {
    /// Root of its host.
    pub fn root() -> Self {
        Self::default()
    }

    /// An ordinary user of its host.
    pub fn ordinary() -> Self {
        Self { ordinary: true, ..Self::default() }
    }

    /// With an argument.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arguments.push(format!("{name}={value}"));
        self
    }

    /// With `/dev/kvm`.
    #[must_use]
    pub fn with_kvm(self) -> Self {
        Self { kvm: true, ..self }
    }

    /// With cgroups of its own.
    #[must_use]
    pub fn with_cgroups(self) -> Self {
        Self { cgroups: true, ..self }
    }

    /// With real-time scheduling.
    #[must_use]
    pub fn with_realtime(self) -> Self {
        Self { realtime: true, ..self }
    }

    /// Allowed to start a program of the host.
    #[must_use]
    pub fn allowing(mut self, program: impl Into<PathBuf>) -> Self {
        self.allowed.push(program.into());
        self
    }
}

/// What the check tells the warden.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) setup: Setup,
    pub(super) program: PathBuf,
    pub(super) host_name: String,
    /// Whether the real host's root asks: then ids are mapped to nobody's.
    pub(super) root: bool,
    /// Whether the warden that is not root has entered its first user namespace already.
    #[serde(default)]
    pub(super) entered: bool,
    /// Files into which 0 is written to join a cgroup.
    pub(super) join: Vec<PathBuf>,
    /// Directories that stay writable.
    pub(super) writable: Vec<PathBuf>,
}

/// Where the student's program is, inside.
pub(super) const PROGRAM: &str = "/run/lab/program";
/// An ordinary user's number.
const ORDINARY: u32 = 1000;
/// What one program may have at most; a lab needs a fraction of it.
pub(super) const PROCESSES: u64 = 256;
/// The same of memory, with the program's own virtual machines in it.
pub(super) const MEMORY_BYTES: u64 = 1 << 30;

fn at<E: std::fmt::Display>(step: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("{step}: {error}"))
}
