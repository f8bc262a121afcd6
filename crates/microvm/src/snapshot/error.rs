//! Why a guest could not be saved, or a snapshot not be restored.

use std::{io, path::PathBuf};

use super::host::Host;
use crate::{devices::bus::RestoreError, hex::Hex};

/// What is wrong with a snapshot, or with making one.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Nobody knows where snapshots are.
    #[error("no directory for snapshots: neither XDG_DATA_HOME nor HOME is set")]
    NoPlace,
    /// That is no name for a snapshot.
    #[error("invalid snapshot name: {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// There is one already.
    #[error("snapshot {folder:?} already exists")]
    Exists {
        /// Its folder.
        folder: PathBuf,
    },
    /// There is none.
    #[error("no snapshot at {folder:?}")]
    None {
        /// Where it would be.
        folder: PathBuf,
    },
    /// It, or a file of it, belongs to somebody else.
    #[error("restore {path:?}: it belongs to user {owner}, who can change it at any time")]
    Foreign {
        /// The folder or the file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may write to it, or to a file of it.
    #[error("restore {path:?}: users other than its owner may write to it (mode {mode:o})")]
    OthersMayWrite {
        /// The folder or the file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It was brought from elsewhere, and says which files of this host are to be opened.
    #[error(
        "restore a snapshot that was copied, or taken of a running guest, and names files of this host as \
         disks: {}",
        disks.iter().map(|disk| disk.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NamesDisks {
        /// What it names.
        disks: Vec<PathBuf>,
    },
    /// Not as many disks as it had.
    #[error("{given} disks given, but the guest was saved with {saved}")]
    Disks {
        /// How many it had.
        saved: usize,
        /// How many there are to be.
        given: usize,
    },
    /// A file of it is not there.
    #[error("the snapshot is damaged: {file:?} is missing")]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file of it cannot be read.
    #[error("read {file:?}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("write the snapshot {folder:?}")]
    Write {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be removed.
    #[error("remove the snapshot {folder:?}")]
    Remove {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has not the length that it was written with.
    #[error("the snapshot is damaged: {file:?} has {bytes} bytes, not {expected}")]
    Length {
        /// The file.
        file: PathBuf,
        /// Its length.
        bytes: u64,
        /// The length that it should have.
        expected: u64,
    },
    /// What is in a file is not what was written.
    #[error(
        "the snapshot is damaged: {file:?} was changed after it was written, at byte {at} or later"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where the first part begins that differs.
        at: Hex,
    },
    /// The state adds up, and is none that isolab writes.
    #[error("the snapshot is damaged: {file:?} is not the state of a machine")]
    State {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The state names what cannot be.
    #[error("the snapshot is damaged: {file:?} has {what}")]
    Nonsense {
        /// The file.
        file: PathBuf,
        /// What cannot be.
        what: &'static str,
    },
    /// Another isolab wrote it.
    #[error("the snapshot was written by {wrote}, and this is {reads}")]
    Version {
        /// The format and the isolab that wrote it.
        wrote: String,
        /// The format and the isolab that should read it.
        reads: String,
    },
    /// It was saved on another processor.
    #[error("the snapshot is for another processor: it was saved on {there}, and this is {here}")]
    Processor {
        /// Where it was saved.
        there: Box<Host>,
        /// Where it is to be restored.
        here: Box<Host>,
    },
    /// The host's kernel is another, and gives guests another processor.
    #[error("the snapshot was saved under the kernel {there}, and this host now runs {here}")]
    HostKernel {
        /// The kernel under which it was saved.
        there: String,
        /// The one that runs now.
        here: String,
        /// What it refused, if it came to that.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The devices of the snapshot cannot be those of this machine.
    #[error(transparent)]
    Devices(#[from] RestoreError),
    /// A device has more to it than a snapshot holds.
    #[error("save a guest that has {what}")]
    Unsaveable {
        /// What the guest has.
        what: &'static str,
        /// Which way to go instead.
        fix: &'static str,
    },
    /// The guest ended before it could be saved.
    #[error("the guest ended before it could be saved")]
    Ended,
}

impl SnapshotError {
    /// What to do about it, where that is known.
    pub fn fix(&self) -> Option<String> {
        let text = match self {
            Self::NoPlace => "set HOME",
            Self::Name { .. } => "use letters, digits, `-`, `_` and `.`, a letter or digit first",
            Self::Exists { .. } => "choose another name, or remove it: `isolab snapshot rm NAME`",
            Self::Foreign { .. } => {
                "if you trust who made it, copy it and restore the copy: \
                 `cp -r --no-preserve=mode,ownership FOLDER COPY`"
            }
            Self::OthersMayWrite { .. } => {
                "remove the others' write permission: `chmod -R go-w FOLDER`"
            }
            Self::NamesDisks { .. } => {
                "who has named them was not you. Name the disks that this guest \
                 is to read, in that order: `isolab snapshot restore NAME --disk FILE`"
            }
            Self::Disks { .. } => "give as many as were saved: `--disk FILE` for each",
            Self::None { .. } => "`isolab snapshot list` lists saved snapshots",
            Self::Missing { .. }
            | Self::Length { .. }
            | Self::Damaged { .. }
            | Self::State { .. }
            | Self::Nonsense { .. }
            | Self::Devices(RestoreError::InvalidState { .. }) => {
                "remove it (`isolab snapshot rm NAME`), and save it anew"
            }
            Self::Version { .. } => {
                "remove it (`isolab snapshot rm NAME`), and save it anew with this isolab"
            }
            Self::Processor { .. } => {
                "save it again on this host: the state fits only the processor that it was saved on"
            }
            Self::HostKernel { .. } => {
                "save it anew, or start that kernel again: with it changed what KVM gives a guest"
            }
            Self::Unsaveable { fix, .. } => fix,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Remove { .. }
            | Self::Devices(RestoreError::OtherDevices { .. })
            | Self::Ended => return None,
        };
        Some(text.to_owned())
    }
}
