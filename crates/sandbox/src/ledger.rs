//! Records what is running, and what would be left behind if its launcher died now.
//!
//! A launcher writes an entry before it creates anything that outlives a process (a cgroup, a link,
//! a directory), and removes the entry when all of it is gone. So the entries of dead launchers
//! name exactly what `isolab clean` has to remove, whatever killed them.

mod detached;
mod error;
mod metadata;
mod socket;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use host::ProcessStat;
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
    unistd::Uid,
};
use serde::{Deserialize, Serialize};

pub use detached::{Detached, ExitRecord, unix_ms};
pub use error::LedgerError;
use error::file_error;
pub use metadata::Metadata;
pub use socket::Socket;

/// A process, distinguished from a later one with the same number.
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
        Some(Self { pid, start_time: ProcessStat::of(pid).ok()?.start_time()? })
    }

    /// The calling process.
    pub fn current() -> Self {
        Self::of(std::process::id()).unwrap_or(Self { pid: std::process::id(), start_time: 0 })
    }

    /// Whether this very process is still alive. A zombie is not.
    pub fn is_alive(&self) -> bool {
        ProcessStat::of(self.pid)
            .is_ok_and(|stat| stat.start_time() == Some(self.start_time) && !stat.has_ended())
    }
}

/// Something that outlives the process which created it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A cgroup, by its directory.
    Cgroup(PathBuf),
    /// A cgroup at a place that the caller has chosen, whatever its name is.
    GivenCgroup(PathBuf),
    /// A directory with its content, such as the upper layer of an overlay.
    Directory(PathBuf),
    /// A network link, by its name.
    Link(String),
    /// A table of rules of nf_tables, by its name.
    Table(String),
}

impl Resource {
    /// The directory, if it is a cgroup.
    pub fn cgroup(&self) -> Option<&Path> {
        match self {
            Self::Cgroup(path) | Self::GivenCgroup(path) => Some(path),
            Self::Directory(_) | Self::Link(_) | Self::Table(_) => None,
        }
    }
}

/// One sandbox that is running or has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
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
    /// The state that the sandbox needs to act on it from another process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<serde_json::Value>,
    /// Present for a run in the background, whose entry stays after it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detached: Option<Detached>,
    /// Labels and the like, given by its caller.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl LedgerEntry {
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
            detached: None,
            metadata: Metadata::default(),
        }
    }
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
    /// When its directory cannot be created, or other users may write to it.
    pub fn open() -> Result<Self, LedgerError> {
        let user = Uid::effective();
        Self::at(match std::env::var_os("XDG_RUNTIME_DIR") {
            _ if user.is_root() => "/run/isolab".into(),
            // By the XDG base directory specification, a path that is not absolute is ignored.
            Some(runtime) if Path::new(&runtime).is_absolute() => {
                PathBuf::from(runtime).join("isolab")
            }
            _ => format!("/tmp/isolab-{user}").into(),
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
        let ledger = Self { directory };
        ledger.opened().map(|_| ledger)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the directory and checks it before it is used: if other users may write to it, its
    /// entries cannot be trusted.
    fn opened(&self) -> Result<File, LedgerError> {
        let path = &self.directory;
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let opened = File::options().read(true).custom_flags(flags.bits()).open(path);
        let opened = opened.map_err(file_error("open the ledger's directory", path))?;
        let found = opened.metadata().map_err(file_error("look at", path))?;
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        if owner != Uid::effective().as_raw() {
            return Err(LedgerError::NotOurs { path: path.clone(), owner });
        }
        match mode & OTHERS_WRITE {
            0 => Ok(opened),
            _ => Err(LedgerError::OthersMayWrite { path: path.clone(), mode }),
        }
    }

    /// Records `entry` under its name while the claim is held.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NameInUse`] and [`LedgerError::BadName`], and those of the file system.
    pub fn claim(&self, entry: LedgerEntry) -> Result<Claim, LedgerError> {
        Self::check_name(&entry.name)?;
        let path = self.path(&entry.name);
        let kept = entry.detached.is_some();
        let claim = Claim { path: path.clone(), entry, kept };
        // A link appears atomically, and never replaces another one.
        let draft = claim.write_draft()?;
        let linked = fs::hard_link(&draft, &path);
        let removed = fs::remove_file(&draft).map_err(file_error("remove", &draft));
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let name = claim.entry.name.clone();
                claim.keep(); // the existing entry must not be removed
                Err(LedgerError::NameInUse { name })
            }
            linked => {
                linked.map_err(file_error("create", &path))?;
                removed?;
                Ok(claim)
            }
        }
    }

    /// All readable entries, by name. Damaged entries are ignored, and so are files that do not
    /// belong to the caller or do not match the name in them.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, or other users may write to it.
    pub fn entries(&self) -> Result<Vec<LedgerEntry>, LedgerError> {
        let directory = self.opened()?;
        let listing = fs::read_dir(&self.directory).map_err(file_error("list", &self.directory))?;
        let mut entries: Vec<LedgerEntry> =
            listing.filter_map(|file| read_entry(&directory, &file.ok()?.file_name())).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// The entry with that name, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::entries`].
    pub fn find(&self, name: &str) -> Result<Option<LedgerEntry>, LedgerError> {
        Ok(read_entry(&self.opened()?, format!("{name}.json").as_ref()))
    }

    /// Takes over the entry of a dead launcher, to remove what it left; for a run in the
    /// background, its supervisor must also have ended or be the calling process. Dropping the
    /// claim then frees the name.
    ///
    /// The claim has the current entry, which launcher or supervisor may have changed since it was
    /// read.
    pub fn adopt(&self, entry: &LedgerEntry) -> Option<Claim> {
        let supervisor = entry.detached.as_ref().map(|detached| detached.supervisor);
        let supervised = supervisor
            .is_some_and(|process| process.pid != std::process::id() && process.is_alive());
        if entry.launcher.is_alive() || supervised {
            return None;
        }
        let file = format!("{}.json", entry.name);
        let last = read_entry(&self.opened().ok()?, file.as_ref())?;
        let same = last.launcher == entry.launcher;
        same.then(|| Claim { path: self.path(&entry.name), entry: last, kept: false })
    }

    /// Removes the drafts of launchers that were killed while writing one, and the directories of
    /// supervisors that were killed before there was an entry.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn sweep(&self) -> Result<(), LedgerError> {
        self.opened()?;
        let listing = fs::read_dir(&self.directory).map_err(file_error("list", &self.directory))?;
        socket::sweep(self)?;
        for path in listing.filter_map(|file| Some(file.ok()?.path())) {
            // NAME.PID.draft
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.strip_suffix(".d").is_some_and(is_name) {
                detached::sweep(&path);
            }
            let writer = name.strip_suffix(".draft").and_then(|rest| rest.rsplit_once('.'));
            let writer = writer.and_then(|(_, pid)| pid.parse().ok());
            if writer.is_some_and(|pid| Process::of(pid).is_none()) {
                // It fails only if another process has just removed it.
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            }
        }
        Ok(())
    }

    /// Checks a name for a run.
    ///
    /// # Errors
    ///
    /// [`LedgerError::BadName`] if not.
    pub fn check_name(name: &str) -> Result<(), LedgerError> {
        match is_name(name) {
            true => Ok(()),
            false => Err(LedgerError::BadName { name: name.into() }),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }
}

/// Write permission for the group and others.
const OTHERS_WRITE: u32 = 0o022;
/// A command line has at most 2 MiB (execve(2)); in JSON a byte takes up to six.
const LONGEST: u64 = 16 << 20;

/// Reads the entry in the file `file` of `directory`. A symbolic link is not followed, and a FIFO
/// does not block; what is checked is what is read.
fn read_entry(directory: &File, file: &OsStr) -> Option<LedgerEntry> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let name = file.to_str()?.strip_suffix(".json").filter(|name| is_name(name))?;
    let file = File::from(openat(directory, file, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let ours = found.is_file() && found.uid() == Uid::effective().as_raw();
    if !ours || found.mode() & OTHERS_WRITE != 0 || found.len() > LONGEST {
        return None;
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    // The last complete line counts; a launcher may have been killed while writing one.
    let lines = text.rsplit(|byte| *byte == b'\n');
    let mut entries = lines.filter_map(|line| serde_json::from_slice(line).ok());
    entries.find(|entry: &LedgerEntry| entry.name == name)
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

/// A recorded entry; dropping it removes the entry, unless it is kept.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    entry: LedgerEntry,
    /// The entry of a run in the background is removed by its supervisor.
    kept: bool,
}

impl Claim {
    /// The current entry.
    pub fn entry(&self) -> &LedgerEntry {
        &self.entry
    }

    /// Changes the entry on disk, by appending a line to its file. (Replacing the file would make
    /// ext4 write it out immediately, which takes milliseconds.)
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn update(&mut self, change: impl FnOnce(&mut LedgerEntry)) -> Result<(), LedgerError> {
        change(&mut self.entry);
        let mut options = fs::OpenOptions::new();
        options.append(true).custom_flags(OFlag::O_NOFOLLOW.bits());
        let before = fs::symlink_metadata(&self.path).map(|found| found.len());
        let written = self.write_line(&self.path, &options);
        if let (Err(_), Ok(before)) = (&written, before) {
            // A partial line would corrupt the next one.
            let _ = options.open(&self.path).and_then(|file| file.set_len(before));
        }
        written
    }

    /// Leaves the entry in place.
    pub fn keep(mut self) {
        self.kept = true;
    }

    fn write_draft(&self) -> Result<PathBuf, LedgerError> {
        let draft = self.path.with_extension(format!("{}.draft", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        self.write_line(&draft, &options)?;
        Ok(draft)
    }

    fn write_line(&self, path: &Path, options: &fs::OpenOptions) -> Result<(), LedgerError> {
        let mut line =
            serde_json::to_vec(&self.entry).expect("an entry has only strings and numbers");
        line.push(b'\n');
        let written =
            options.open(path).and_then(|mut file| io::Write::write_all(&mut file, &line));
        written.map_err(file_error("write", path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if self.entry.detached.is_some() {
            // Its log and its socket. The name is freed last.
            let _ = fs::remove_dir_all(self.path.with_extension("d"));
        }
        // A failure cannot be handled here: the entry then shows up as dead.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
