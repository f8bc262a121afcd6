//! Writing a snapshot's folder: it is there whole or not at all.
//!
//! ```text
//!   .unfinished-XXXXXX/   locked while somebody writes it; its user's alone
//!     memory              written by the launcher of the guest
//!     state.json, checksum, checked
//!   --> NAME              renamed when all of it is on the disk
//! ```
//!
//! Whoever writes it may be killed at any time. What is left then has no name that a snapshot can
//! have, and its lock is free: [`SnapshotStore::clean`](super::SnapshotStore::clean) removes it.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tempfile::TempDir;
use twox_hash::XxHash3_64;

use super::{
    SnapshotError, State,
    folder::{CHECKED, CHECKSUM, FORMAT, ISOLAB, MEMORY, STATE, UNFINISHED, Version, checksum},
    mark::{mark, settle},
    owner::Birth,
};

/// Whose word the state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The launcher's, before its guest ran anything of its own: it may name the guest's disks.
    Launcher,
    /// The monitor's of a running guest, which that guest may own by now.
    Monitor,
}

/// The folder of a snapshot that is not all there yet. It is removed when it is dropped.
#[derive(Debug)]
pub struct Unfinished {
    content: TempDir,
    /// Locked, so that whoever clears up after those who were killed finds it at work.
    at_work: File,
    memory: File,
    folder: PathBuf,
    parent: PathBuf,
}

#[derive(Serialize)]
struct Whole<'s> {
    #[serde(flatten)]
    version: Version,
    state: &'s State,
}

impl Unfinished {
    /// Begins the snapshot that is to be `folder`, with an empty file for its memory.
    ///
    /// # Errors
    ///
    /// When there is one already, or it cannot be written.
    pub fn begin(folder: &Path) -> Result<Self, SnapshotError> {
        // A link that leads nowhere would be replaced by the rename.
        if folder.symlink_metadata().is_ok() {
            return Err(SnapshotError::Exists { folder: folder.to_owned() });
        }
        let begun = Self::new(folder);
        begun.map_err(|source| SnapshotError::Write { folder: folder.to_owned(), source })
    }

    fn new(folder: &Path) -> io::Result<Self> {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).to_owned();
        fs::create_dir_all(&parent)?;
        let content = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)?;
        let at_work = File::open(content.path())?;
        at_work.lock()?;
        let memory = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(content.path().join(MEMORY))?;
        Ok(Self { content, at_work, memory, folder: folder.to_owned(), parent })
    }

    /// The file for the memory.
    pub fn memory(&self) -> &File {
        &self.memory
    }

    /// A file beside it for the time until it is finished, which has no name.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn scratch(&self) -> io::Result<File> {
        tempfile::tempfile_in(self.content.path())
    }

    /// Where it lies until it is finished.
    pub fn path(&self) -> &Path {
        self.content.path()
    }

    /// Adds the `state` to its memory, which is written.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&self, state: &mut State, author: Author) -> io::Result<()> {
        keep(&self.memory)?;
        state.birth = match author {
            Author::Launcher => Birth::of(&self.memory),
            Author::Monitor => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        state.saved_at = now.map_or(0, |since| since.as_secs());
        let version = Version { format: FORMAT, isolab: ISOLAB.into() };
        let text = serde_json::to_vec_pretty(&Whole { version, state })?;
        for (name, bytes) in [(STATE, &text), (CHECKSUM, &checksum(&text).into_bytes())] {
            let mut file = File::create_new(self.path().join(name))?;
            file.write_all(bytes)?;
            keep(&file)?;
        }
        // From here on its mark tells if somebody writes to it.
        settle(&self.memory);
        if let Some(mark) = mark(&self.memory, XxHash3_64::oneshot(&text)) {
            fs::write(self.path().join(CHECKED), mark)?;
        }
        Ok(())
    }

    /// Gives it its name.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or somebody else has taken the name meanwhile.
    pub fn finish(self) -> io::Result<()> {
        self.at_work.sync_all()?;
        fs::rename(self.path(), &self.folder)?;
        // Nothing is left that the folder's guard could remove, and it need not try.
        let _ = self.content.keep();
        File::open(self.parent)?.sync_all()
    }
}

/// What is in a file from now on stays, on the disk and as it is.
fn keep(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o400))?;
    file.sync_all()
}
