//! A host of its own for the student's program, so that this one is not harmed, whatever it does.
//!
//! ```text
//!   check      judges; a process of the real host, which the program cannot see
//!    `- warden   makes every mount read-only, then enters new namespaces: user, mount, uts, ipc,
//!        |       net, pid; everything below is in them
//!        `- init   process 1 there; starts the program, buries what it leaves, answers the check
//!            `- the student's program, in a host that consists of namespaces, with the
//!               capabilities and system calls that its lab is about
//! ```
//!
//! Mounts are made read-only *before* the user namespace, so root inside may not undo it
//! (mount_namespaces(7): such mounts are locked). The root is a new one, in which programs and
//! libraries of the real host are found and nothing that people or services keep: no home folders,
//! no sockets, no terminals. Its ids are nobody's outside. When the check ends, however it ends,
//! init reads the end of its input and leaves, and the kernel takes away all that was inside:
//! processes, mounts, links, segments. Only cgroups outlive it; they are in the ledger.

mod filter;
mod furnish;
mod init;
mod look;
mod messages;
mod power;
mod root;
mod setup;
mod warden;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

pub(super) use messages::{InitMessage, InitRequest};
pub use power::Capability;
pub use setup::Setup;
pub(super) use warden::warden;

/// What the check tells the warden.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) setup: Setup,
    pub(super) program: PathBuf,
    /// The words by which this program is called to be a warden.
    pub(super) again: Vec<String>,
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
/// Its group's, another one: who takes the one for the other is found out.
const ORDINARY_GROUP: u32 = 1001;
/// What one program may have at most; a lab needs a fraction of it.
pub(super) const PROCESSES: u64 = 256;
/// The same of memory, with the program's own virtual machines in it.
pub(super) const MEMORY_BYTES: u64 = 1 << 30;

fn at<E: std::fmt::Display>(step: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("{step}: {error}"))
}
