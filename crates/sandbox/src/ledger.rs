//! What is running, and what would be left behind if its launcher died now.
//!
//! A launcher writes an entry before it creates anything that outlives a process (a cgroup, a link,
//! a directory), and removes the entry when all of it is gone again. So the entries of launchers
//! that no longer live name exactly what `isolab clean` has to remove, whatever killed them.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

/// A process told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id, in the launcher's namespace.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

impl Process {
    /// The process with the number `pid`, if there is one.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start_time: Stat::of(pid)?.start_time })
    }

    /// The calling process.
    pub fn current() -> Self {
        Self::of(std::process::id()).unwrap_or(Self { pid: std::process::id(), start_time: 0 })
    }

    /// Whether this very process still lives. One that only waits to be reaped does not.
    pub fn is_alive(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.ended)
    }
}

/// What `/proc/PID/stat` says (proc(5)).
struct Stat {
    ended: bool,
    start_time: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may hold anything, parentheses too.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        Some(Self { ended, start_time: fields.nth(18)?.parse().ok()? })
    }
}

/// Something that outlives the process which created it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A cgroup, by its directory.
    Cgroup(PathBuf),
    /// A directory with all that is in it, such as the upper layer of an overlay.
    Directory(PathBuf),
    /// A network link, by its name.
    Link(String),
}

/// One sandbox that is running, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name by which `isolab exec` and `isolab stop` know it.
    pub name: String,
    /// `process`, `container` or `microvm`.
    pub sandbox: String,
    /// The command line inside.
    pub command: Vec<String>,
    /// The process that started it and waits for it.
    pub launcher: Process,
    /// The first process inside, once there is one.
    pub first: Option<Process>,
    /// What it holds, in the order of creation.
    pub resources: Vec<Resource>,
    /// What the sandbox itself wants to know of it in another process, to act on it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<serde_json::Value>,
}

impl Entry {
    /// An entry of the calling process that holds nothing yet.
    pub fn new(name: String, sandbox: &str, command: Vec<String>) -> Self {
        Self {
            name,
            sandbox: sandbox.to_owned(),
            command,
            launcher: Process::current(),
            first: None,
            resources: Vec::new(),
            state: None,
        }
    }
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is an entry with that name.
    #[error(
        "the name {name:?} is in use: `isolab ps` shows by whom, `isolab clean` frees the names of dead ones"
    )]
    NameInUse {
        /// The name.
        name: String,
    },
    /// A name that could not be a file's.
    #[error(
        "{name:?} is no name: use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// A file of the ledger could not be read or written.
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
    /// The directory belongs to somebody else, who could make us remove what is not ours.
    #[error(
        "the ledger's directory {path:?} belongs to user {owner}: remove it, or set XDG_RUNTIME_DIR to a directory of your own"
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    move |source| LedgerError::File { action, path: path.to_owned(), source }
}

/// The directory of entries, one file each.
#[derive(Debug, Clone)]
pub struct Ledger {
    directory: PathBuf,
}

impl Ledger {
    /// The ledger of the calling user: `/run/isolab` for root, else below `$XDG_RUNTIME_DIR`,
    /// else `/tmp/isolab-UID`.
    ///
    /// # Errors
    ///
    /// When its directory cannot be created, or is another user's.
    pub fn open() -> Result<Self, LedgerError> {
        let user = Uid::effective();
        Self::at(match std::env::var_os("XDG_RUNTIME_DIR") {
            _ if user.is_root() => "/run/isolab".into(),
            Some(runtime) => PathBuf::from(runtime).join("isolab"),
            None => format!("/tmp/isolab-{user}").into(),
        })
    }

    /// The ledger in `directory`.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::open`].
    pub fn at(directory: PathBuf) -> Result<Self, LedgerError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(file_error("create", &directory))?;
        let found = fs::symlink_metadata(&directory).map_err(file_error("look at", &directory))?;
        if found.uid() != Uid::effective().as_raw() || !found.is_dir() {
            return Err(LedgerError::NotOurs { path: directory, owner: found.uid() });
        }
        Ok(Self { directory })
    }

    /// Writes `entry` down under its name, for as long as the claim is held.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NameInUse`] and [`LedgerError::BadName`], and those of the file system.
    pub fn claim(&self, entry: Entry) -> Result<Claim, LedgerError> {
        if !is_name(&entry.name) {
            return Err(LedgerError::BadName { name: entry.name });
        }
        let path = self.path(&entry.name);
        let claim = Claim { path: path.clone(), entry };
        // A link appears whole or not at all, and never over another one.
        let draft = claim.write_draft()?;
        let linked = fs::hard_link(&draft, &path);
        let removed = fs::remove_file(&draft).map_err(file_error("remove", &draft));
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let name = claim.entry.name.clone();
                std::mem::forget(claim); // the entry there is not ours to remove
                Err(LedgerError::NameInUse { name })
            }
            linked => {
                linked.map_err(file_error("create", &path))?;
                removed?;
                Ok(claim)
            }
        }
    }

    /// All entries that can be read, by name. A damaged one is left out.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, LedgerError> {
        let listing = fs::read_dir(&self.directory).map_err(file_error("list", &self.directory))?;
        let mut entries: Vec<Entry> = listing
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
            .filter(|entry: &Entry| is_name(&entry.name))
            .collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// The entry with that name, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::entries`].
    pub fn find(&self, name: &str) -> Result<Option<Entry>, LedgerError> {
        Ok(self.entries()?.into_iter().find(|entry| entry.name == name))
    }

    /// Takes over the entry of a launcher that no longer lives, to remove what it left.
    /// Dropping the claim then frees the name.
    pub fn adopt(&self, entry: Entry) -> Option<Claim> {
        (!entry.launcher.is_alive()).then(|| Claim { path: self.path(&entry.name), entry })
    }

    /// Removes the drafts of launchers that were killed while they wrote one.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn sweep(&self) -> Result<(), LedgerError> {
        let listing = fs::read_dir(&self.directory).map_err(file_error("list", &self.directory))?;
        for path in listing.filter_map(|file| Some(file.ok()?.path())) {
            // NAME.PID.draft
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let writer = name.strip_suffix(".draft").and_then(|rest| rest.rsplit_once('.'));
            let writer = writer.and_then(|(_, pid)| pid.parse().ok());
            if writer.is_some_and(|pid| Process::of(pid).is_none()) {
                // It fails only if another sweep was faster.
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

/// An entry that is written down; dropping it strikes it out.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    entry: Entry,
}

impl Claim {
    /// The entry as it stands.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Changes the entry, on disk before anything else happens.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn update(&mut self, change: impl FnOnce(&mut Entry)) -> Result<(), LedgerError> {
        change(&mut self.entry);
        let draft = self.write_draft()?;
        fs::rename(&draft, &self.path).map_err(file_error("replace", &self.path))
    }

    fn write_draft(&self) -> Result<PathBuf, LedgerError> {
        let draft = self.path.with_extension(format!("{}.draft", std::process::id()));
        let text = serde_json::to_vec(&self.entry).expect("an entry has only strings and numbers");
        let write = || -> io::Result<()> {
            use io::Write;
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&draft)?.write_all(&text)
        };
        write().map_err(file_error("write", &draft))?;
        Ok(draft)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Nothing useful can be done about a failure: the entry then shows as a dead one.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(test: &str) -> Ledger {
        let name = format!("isolab-ledger-{test}-{}", std::process::id());
        Ledger::at(std::env::temp_dir().join(name)).unwrap()
    }

    #[test]
    fn a_name_is_free_again_once_its_claim_is_dropped() {
        let ledger = scratch("free");
        let entry = Entry::new("one".into(), "process", vec!["true".into()]);
        let claim = ledger.claim(entry.clone()).unwrap();
        let refused = ledger.claim(entry.clone()).unwrap_err();
        assert!(matches!(refused, LedgerError::NameInUse { .. }), "{refused}");
        assert_eq!(ledger.find("one").unwrap(), Some(entry.clone()));
        drop(claim);
        drop(ledger.claim(entry).unwrap());
        assert_eq!(ledger.entries().unwrap(), []);
        fs::remove_dir(&ledger.directory).unwrap();
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let ledger = scratch("names");
        for name in ["", "../x", "a/b", ".hidden", "-x", "a b", &"x".repeat(65)] {
            let refused = ledger.claim(Entry::new(name.into(), "process", vec![])).unwrap_err();
            assert!(matches!(refused, LedgerError::BadName { .. }), "{name}");
        }
        fs::remove_dir(&ledger.directory).unwrap();
    }

    #[test]
    fn only_the_drafts_of_dead_writers_are_swept() {
        let ledger = scratch("sweep");
        let own = ledger.directory.join(format!("one.{}.draft", std::process::id()));
        // Linux gives out no process id above 2^22.
        let dead = ledger.directory.join("one.4194305.draft");
        for draft in [&own, &dead] {
            fs::write(draft, "").unwrap();
        }
        ledger.sweep().unwrap();
        assert!(own.exists() && !dead.exists());
        fs::remove_dir_all(&ledger.directory).unwrap();
    }

    #[test]
    fn only_the_entries_of_dead_launchers_are_adopted() {
        let ledger = scratch("adopt");
        let mut entry = Entry::new("one".into(), "container", vec![]);
        assert!(ledger.adopt(entry.clone()).is_none());
        entry.launcher.start_time += 1;
        assert!(ledger.adopt(entry).is_some());
        fs::remove_dir(&ledger.directory).unwrap();
    }
}
