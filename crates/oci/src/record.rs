//! What one call has to know of a container that another one has made: `state.json`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use container::State;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use sandbox::Resource;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    SPEC_VERSION,
    config::{Process, Resources},
    error::{Error, Result, file},
    store::{StateDirectory, Store},
    systemd::Unit,
};

/// A container, as its directory describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) annotations: BTreeMap<String, String>,
    /// When it was created (RFC 3339).
    pub(crate) created: String,
    /// `process` of config.json: a further program has the same, unless it says otherwise.
    pub(crate) process: Option<Process>,
    /// `linux.resources`, as last changed.
    pub(crate) resources: Resources,
    /// Whether its first process is the monitor of a microVM.
    #[serde(default)]
    pub(crate) is_machine: bool,
    /// Whether its monitor was told to let the guest stand still.
    #[serde(default)]
    pub(crate) is_paused: bool,
    /// The unit of systemd's in which it is.
    #[serde(default)]
    pub(crate) unit: Option<Unit>,
    /// What it holds; written before it is made.
    pub(crate) held: Vec<Resource>,
    /// What is known of it once it is made.
    pub(crate) container: Option<State>,
}

/// Where a container is in its life (runtime.md, "State").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl Record {
    /// Reads the record in a directory of the store.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join("state.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(Error::Unknown { id });
            }
            text => text.map_err(file("read", &path))?,
        };
        serde_json::from_slice(&text).map_err(|error| Error::Invalid {
            path,
            why: format!("{error}; `delete --force` removes it"),
        })
    }

    /// The record of a container, for a command that changes nothing.
    pub(crate) fn of(store: &Store, id: &str) -> Result<Self> {
        Self::load(&store.look(id)?)
    }

    /// Writes it: whoever reads at the same time finds the old one or the new one.
    pub(crate) fn save(&self, directory: &StateDirectory) -> Result<()> {
        let path = directory.state();
        let draft = path.with_extension("draft");
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::Invalid { path: path.clone(), why: error.to_string() })?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&draft).and_then(|mut to| to.write_all(&text));
        written.map_err(file("write", &draft))?;
        // A rename over an existing file makes ext4 write the new one to the disk at once (ext4(5),
        // `auto_da_alloc`), which nobody needs: after a crash of the host there is no container. An
        // exchange does not, and a file that never got a block is removed without any I/O.
        let exchange = RenameFlags::RENAME_EXCHANGE;
        match renameat2(AT_FDCWD, &draft, AT_FDCWD, &path, exchange) {
            Ok(()) => fs::remove_file(&draft).map_err(file("remove", &draft)),
            // There is none yet, or this file system cannot.
            Err(_) => fs::rename(&draft, &path).map_err(file("rename", &draft)),
        }
    }

    /// What a container with a damaged record holds, as far as it can still be read.
    pub(crate) fn held_by_damaged(directory: &Path) -> Vec<Resource> {
        let text = fs::read(directory.join("state.json")).unwrap_or_default();
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        Vec::deserialize(&value["held"]).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Status {
        let Some(state) = &self.container else { return Status::Creating };
        let waits = || state.start.as_ref().is_some_and(|path| path.exists());
        match state.is_alive() {
            false => Status::Stopped,
            true if self.is_paused || state.is_frozen() => Status::Paused,
            true if waits() => Status::Created,
            true => Status::Running,
        }
    }

    /// The container, if its first process lives.
    pub(crate) fn living(&self) -> Result<&State> {
        self.container.as_ref().filter(|state| state.is_alive()).ok_or(Error::NotRunning)
    }

    /// What is known of it once it is made.
    pub(crate) fn made(&self) -> Result<&State> {
        self.container.as_ref().ok_or(Error::NotRunning)
    }

    /// The state that the specification defines, with what runc adds.
    pub(crate) fn as_json(&self) -> Value {
        let status = self.status();
        let pid = match (&self.container, status) {
            (Some(state), Status::Created | Status::Running | Status::Paused) => state.first.pid,
            _ => 0,
        };
        json!({
            "ociVersion": SPEC_VERSION,
            "id": self.id,
            "status": status.word(),
            "pid": pid,
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "annotations": self.annotations,
            "owner": "",
        })
    }
}
