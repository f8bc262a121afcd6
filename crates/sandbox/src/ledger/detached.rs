//! What the ledger records about a run in the background: its supervisor, and how it ended.
//!
//! Such a run has a directory beside its entry, for its log and its socket. Both stay after its
//! end, until `isolab rm` or `isolab clean` removes them.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError, Process, file_error};

/// A run in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// The process that keeps its log and its streams, the parent of its launcher.
    pub supervisor: Process,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether its entry and log are removed at its end.
    pub remove: bool,
    /// How it ended, once it has.
    pub exit: Option<ExitRecord>,
}

/// How a run in the background ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Its exit code, as in a shell.
    pub code: u8,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Now, in milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The file in a run's directory that identifies its owner.
const OWNER: &str = "supervisor";

impl Ledger {
    /// The directory of the run `name` in the background, for its log and its socket.
    pub fn directory_of(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.d"))
    }

    /// Makes that directory, which reserves the name until there is an entry.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NameInUse`] and [`LedgerError::BadName`], and those of the file system.
    pub fn make_directory_of(&self, name: &str) -> Result<PathBuf, LedgerError> {
        Self::check_name(name)?;
        let in_use = || LedgerError::NameInUse { name: name.into() };
        if self.find(name)?.is_some() {
            return Err(in_use());
        }
        // It appears with its owner's name in it, so that a sweep never treats it as abandoned, and
        // never replaces one that is not empty (rename(2)).
        let draft = self.directory.join(format!("{name}.{}.draft", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&draft);
        made.map_err(file_error("create", &draft))?;
        let owner = serde_json::to_vec(&Process::current()).expect("two numbers");
        let written = fs::write(draft.join(OWNER), owner);
        let path = self.directory_of(name);
        let renamed = written.and_then(|()| fs::rename(&draft, &path));
        renamed.map(|()| path.clone()).map_err(|error| {
            let _ = fs::remove_dir_all(&draft); // made above
            match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => in_use(),
                _ => file_error("create", &path)(error),
            }
        })
    }

    /// Removes the directory of the run `name`, which has no entry (any more).
    pub fn remove_directory_of(&self, name: &str) {
        let _ = fs::remove_dir_all(self.directory_of(name)); // a sweep removes what is left
    }

    /// Changes the entry `name` of a run whose launcher has written its own last line, which it
    /// does before it reports that the program runs. False if there is none.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn amend(
        &self,
        name: &str,
        change: impl FnOnce(&mut super::LedgerEntry),
    ) -> Result<bool, LedgerError> {
        let Some(entry) = self.find(name)? else { return Ok(false) };
        let mut claim = super::Claim { path: self.path(name), entry, kept: true };
        claim.update(change).map(|()| true)
    }
}

/// Removes a run's directory that has no entry, if its supervisor is dead.
pub(super) fn sweep(path: &Path) {
    let entry = path.with_extension("json");
    let owner = || serde_json::from_slice::<Process>(&fs::read(path.join(OWNER)).ok()?).ok();
    let abandoned = || owner().is_none_or(|owner| !owner.is_alive());
    let has_entry = nix::sys::stat::lstat(&entry) != Err(Errno::ENOENT);
    if !has_entry && abandoned() {
        let _ = fs::remove_dir_all(path); // it fails only if another process has just removed it
    }
}
