//! The engine: where its files are, and what they say.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::{Answer, Container, Refusal, State};

/// What the daemon and the shims know: a directory, and the student's functions.
///
/// ```text
///   DIRECTORY/engine.sock
///   DIRECTORY/containers/ID/state.json         state_file(ID)
///   DIRECTORY/containers/ID/state.json.draft   draft(ID)
///   DIRECTORY/containers/ID/log                log(ID)
/// ```
#[derive(Clone)]
pub struct Engine {
    directory: PathBuf,
    pub(crate) answer: Answer,
    /// Held while a container is started or removed: two clients do not do that at once.
    changes: Arc<Mutex<()>>,
}

/// What an error begins with that is about a state of which a part is missing; then comes what is there.
pub const NOT_WHOLE: &str = "the state on disk is not whole: ";

/// How long it takes to record that a container runs.
const SLOW_DISK: Duration = Duration::from_millis(20);

/// What is said of a container whose end nobody recorded, as containerd does.
const LOST: i32 = 255;

/// The student's functions, as they call each other.
impl Engine {
    /// Writes the state to disk.
    ///
    /// # Errors
    ///
    /// Those of the student's `save`.
    pub fn save(&self, container: &Container) -> io::Result<()> {
        if matches!(container.state, State::Running { .. }) {
            // As on a slow disk: whoever says first that it runs is found out.
            thread::sleep(SLOW_DISK);
        }
        (self.answer.save)(self, container)
    }

    /// The start time of a process.
    ///
    /// # Errors
    ///
    /// Those of the student's `start_time`.
    pub fn start_time(&self, pid: u32) -> io::Result<u64> {
        (self.answer.start_time)(pid)
    }

    /// The process with that number, if it was started at that time.
    pub fn adopt(&self, pid: u32, start_time: u64) -> Option<OwnedFd> {
        (self.answer.adopt)(self, pid, start_time)
    }

    /// Waits until a container has ended, and gives its exit code.
    ///
    /// # Errors
    ///
    /// Those of the student's `wait`.
    pub fn wait(&self, id: &str) -> Result<i32, Refusal> {
        (self.answer.wait)(self, id)
    }
}

impl Engine {
    pub(crate) fn new(directory: PathBuf, answer: Answer) -> Self {
        Self { directory, answer, changes: Arc::default() }
    }

    pub(crate) fn create_directory(&self) -> io::Result<()> {
        fs::create_dir_all(self.containers())
    }

    /// The directory with a directory for each container.
    pub(crate) fn containers(&self) -> PathBuf {
        self.directory.join("containers")
    }

    /// Makes the caller the only one that starts or removes a container.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("engine.sock")
    }

    /// The directory of all that is kept of a container.
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// The file with the state of a container.
    pub fn state_file(&self, id: &str) -> PathBuf {
        self.container(id).join("state.json")
    }

    /// A file beside it, to be written first.
    pub fn draft(&self, id: &str) -> PathBuf {
        self.container(id).join("state.json.draft")
    }

    /// The file for all that a container prints.
    pub fn log(&self, id: &str) -> PathBuf {
        self.container(id).join("log")
    }

    /// The command that starts a container's shim: this very program, which calls `shim`.
    pub fn shim_command(&self, id: &str) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg("shim").arg(&self.directory).arg(id);
        command
    }

    /// What is on disk of a container; none if nothing is.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is damaged.
    pub fn load(&self, id: &str) -> io::Result<Option<Container>> {
        match fs::read(self.state_file(id)) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| {
                let text = String::from_utf8_lossy(&text);
                io::Error::new(io::ErrorKind::InvalidData, format!("{NOT_WHOLE}{text}"))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is true of a container now: `Running` only if its process can be adopted, and exit code
    /// 255 if nobody recorded its end.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::load`].
    pub fn current(&self, id: &str) -> io::Result<Option<Container>> {
        let is_gone = |container: &Container| match container.state {
            State::Running { pid, start_time } => self.adopt(pid, start_time).is_none(),
            _ => false,
        };
        let found = self.load(id)?;
        if !found.as_ref().is_some_and(is_gone) {
            return Ok(found);
        }
        // A process goes after its shim has recorded its end: what was read may be older than that.
        let again = self.load(id)?;
        Ok(again.map(|container| match is_gone(&container) {
            true => Container { state: State::Exited { code: LOST }, ..container },
            false => container,
        }))
    }
}
