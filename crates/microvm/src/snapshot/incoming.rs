//! A snapshot of a guest that is running: written in two processes that do not trust each other.
//!
//! The launcher of a running guest is in its cell: it can open no file, and may be the guest's by
//! now. So whoever asks for the snapshot opens the files, and sends their descriptors along.
//!
//! ```text
//!   isolab snapshot save --from GUEST          the launcher of GUEST, in its cell
//!     makes .unfinished-XXXXXX/memory
//!     two descriptors ---------------------->  holds the guest at its freeze point
//!                                              writes memory, and Captured as JSON
//!     answer <-------------------------------  lets the guest go on
//!     reads Captured, a bounded part of it
//!     adds what the launcher need not be
//!     asked for: host, time, command
//!     renames the folder
//! ```
//!
//! What comes back is a hostile guest's snapshot, and no more than that: it is bounded and checked
//! when it is restored, as any snapshot is, and it names no files of the host
//! ([`Snapshot::is_original`] is false of it).

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    Snapshot, SnapshotError, State, chips, cpu,
    folder::LONGEST_STATE,
    host::Host,
    memory::Content,
    unfinished::{Author, Unfinished},
};
use crate::{
    devices::bus::Saved,
    error::{Error, Result},
    linux::Recipe,
    machine,
};

/// What only the launcher of a guest knows of its machine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captured {
    /// How to build the machine around it.
    pub recipe: Recipe,
    /// What KVM plays beside the processors.
    pub chips: chips::State,
    /// The processors, from number 0 on.
    pub processors: Vec<cpu::State>,
    /// The devices on the machine's buses.
    pub devices: Vec<Saved>,
    /// What is in the file of the memory.
    pub memory: Content,
}

impl Captured {
    /// Writes it to `file`, which is empty.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&serde_json::to_vec(self)?, 0)
    }

    fn read(mut file: &File) -> io::Result<Self> {
        file.rewind()?;
        let mut text = Vec::new();
        file.take(LONGEST_STATE).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The state of a snapshot that was taken on `host`.
    pub fn on(self, host: Host) -> State {
        let Self { recipe, chips, processors, devices, memory } = self;
        State { saved_at: 0, host, recipe, chips, processors, devices, memory, birth: None }
    }
}

/// The files of a snapshot that the launcher of a running guest is asked for.
#[derive(Debug)]
pub struct Incoming {
    unfinished: Unfinished,
    captured: File,
}

impl Incoming {
    /// Makes the files of what is to be the snapshot `folder`.
    ///
    /// # Errors
    ///
    /// When there is one already, or they cannot be made.
    pub fn begin(folder: &Path) -> Result<Self, SnapshotError> {
        let unfinished = Unfinished::begin(folder)?;
        let captured = unfinished
            .scratch()
            .map_err(|source| SnapshotError::Write { folder: folder.to_owned(), source })?;
        Ok(Self { unfinished, captured })
    }

    /// The files for the launcher: one for the memory, one for [`Captured`].
    pub fn files(&self) -> [&File; 2] {
        [self.unfinished.memory(), &self.captured]
    }

    /// Makes a snapshot of what the launcher has written: of the guest that runs `command`, by the
    /// KVM of `device`.
    ///
    /// # Errors
    ///
    /// When it is not a snapshot that can be restored, or cannot be written.
    pub fn finish(self, folder: &Path, device: &Path, command: Vec<String>) -> Result<()> {
        let failed = |source| SnapshotError::Write { folder: folder.to_owned(), source };
        let mut captured = Captured::read(&self.captured).map_err(failed)?;
        captured.recipe.command = command;
        // Its end may be a hole, which was not written.
        self.unfinished.memory().set_len(captured.memory.bytes).map_err(failed)?;
        let host = Host::of(&machine::features(&machine::open(device)?)?);
        self.unfinished.add(&mut captured.on(host), Author::Monitor).map_err(failed)?;
        // As it would be refused later, it is refused now.
        Snapshot::open(self.unfinished.path()).map_err(Error::from)?;
        self.unfinished.finish().map_err(failed)?;
        Ok(())
    }
}
