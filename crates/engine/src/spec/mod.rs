//! The translation of Docker's API into a [`container::Spec`]: the third door, one section a
//! question.
//!
//! | | here | HostConfig and Config |
//! |---|---|---|
//! | 1 | `boundary` | PidMode, IpcMode, UTSMode, NetworkMode, Hostname |
//! | 2 | `budget` | Memory, NanoCpus, PidsLimit, .. |
//! | 3 | `inside` | Mounts, Binds, Tmpfs, Devices, ReadonlyRootfs |
//! | 4 | `power` | User, CapAdd, SecurityOpt, Ulimits, Sysctls, Privileged |
//! | 5 | `way_out` | Cmd, Env, WorkingDir, Tty, Dns, ExtraHosts |
//!
//! That is the runtime `container`. The others take the same words: `process` without the walls,
//! and [`microvm`] for the process that is a virtual machine.

mod boundary;
mod budget;
mod inside;
pub mod microvm;
mod network;
mod power;
mod process;
mod refusal;
#[cfg(test)]
mod test_record;
mod way_out;

use std::path::Path;

use container::{Root, Spec, Upper};
pub use network::NetworkSetup;
use sandbox::Process;
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, Result},
    runtime::Runtime,
    state::record::Record,
};

/// The processes of other containers whose namespaces it joins: `--network container:NAME` and the
/// like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shared {
    /// Its network.
    pub net: Option<Process>,
    /// Its processes.
    pub pid: Option<Process>,
    /// Its System V objects.
    pub ipc: Option<Process>,
}

/// The description of the container of `record`, whose files are in `directory`.
///
/// # Errors
///
/// 400 for what contradicts itself or is not supported, with dockerd's words where it has some.
pub fn of(record: &Record, directory: &Path, shared: &Shared) -> Result<Spec> {
    match record.runtime() {
        Runtime::Container => container(record, directory, shared),
        Runtime::Process => process::of(record, directory),
        Runtime::Microvm => microvm::monitor(record, directory),
    }
}

fn container(record: &Record, directory: &Path, shared: &Shared) -> Result<Spec> {
    let mut spec = Spec::default();
    spec.inside.root = Root::Overlay {
        lowers: record.layers.clone(),
        upper: Upper::Kept(directory.join("files")),
    };
    boundary::apply(&mut spec, record, shared);
    budget::apply(&mut spec, record)?;
    inside::apply(&mut spec, record)?;
    way_out::apply(&mut spec, record)?;
    power::apply(&mut spec, record)?;
    Ok(spec)
}

/// Gives it the network that was prepared for it.
pub fn connect(spec: &mut Spec, setup: &NetworkSetup) {
    way_out::connect(spec, setup);
}

/// 400, with all causes.
fn refused(error: container::Error) -> ApiError {
    ApiError::invalid(sandbox::chain(&sandbox::Error::from(error)))
}
