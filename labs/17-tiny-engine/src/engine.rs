//! The engine: where its files are, and which request is answered by which function.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Answer,
    http::{Request, Response},
};

/// A container's state: what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its id, which is its directory's name too.
    pub id: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where its life is.
    pub state: State,
}

/// Where a container's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum State {
    /// It was never started.
    Created,
    /// It was started as this process.
    Running {
        /// Its number.
        pid: u32,
        /// When it was started: field 22 of `/proc/PID/stat`.
        start_time: u64,
    },
    /// It has ended.
    Exited {
        /// Its exit code, or 128 and the signal that killed it.
        code: i32,
    },
}

/// Why a request is not done.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such container: status 404.
    Unknown,
    /// It runs already: status 304.
    AlreadyStarted,
    /// It runs, and this cannot be done to one that runs: status 409.
    Conflict,
    /// Something failed: status 500.
    Failed(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Failed(error.into())
    }
}

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
        fs::create_dir_all(self.directory.join("containers"))
    }

    /// Where the socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("engine.sock")
    }

    /// The directory of all that is kept of a container.
    pub fn container(&self, id: &str) -> PathBuf {
        self.directory.join("containers").join(id)
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
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
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

    /// Reads a client's request and answers it. Errors are the client's: it is gone, or does not
    /// speak HTTP.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub fn answer(&self, client: &UnixStream) -> io::Result<()> {
        let request = Request::read(client)?;
        let response = self.response(&request).unwrap_or_else(|refusal| match refusal {
            Refusal::Unknown => Response::message(404, "No such container"),
            Refusal::AlreadyStarted => Response::empty(304),
            Refusal::Conflict => Response::message(409, "The container is running"),
            Refusal::Failed(error) => Response::message(500, &error.to_string()),
        });
        response.write(client)
    }

    /// The part of Docker's API that is here.
    fn response(&self, request: &Request) -> Result<Response, Refusal> {
        let words: Vec<&str> = request.path.split('/').skip(1).collect();
        let changing = || self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*request.method, &words[..]) {
            ("POST", ["containers", "create"]) => self.create(&request.body),
            ("GET", ["containers", "json"]) => self.list(),
            (_, ["containers", id, ..]) if !is_id(id) => Err(Refusal::Unknown),
            ("GET", ["containers", id, "json"]) => {
                let container = self.current(id)?.ok_or(Refusal::Unknown)?;
                Ok(Response::json(200, &description(&container)))
            }
            ("GET", ["containers", id, "logs"]) => {
                self.load(id)?.ok_or(Refusal::Unknown)?;
                Ok(Response::text(fs::read(self.log(id)).unwrap_or_default()))
            }
            ("POST", ["containers", id, "start"]) => {
                let _one_at_a_time = changing();
                (self.answer.start)(self, id).map(|()| Response::empty(204))
            }
            ("POST", ["containers", id, "wait"]) => {
                Ok(Response::json(200, &json!({ "StatusCode": self.wait(id)? })))
            }
            ("DELETE", ["containers", id]) => {
                let _one_at_a_time = changing();
                let force = ["force=1", "force=true"].contains(&&*request.query);
                (self.answer.remove)(self, id, force).map(|()| Response::empty(204))
            }
            _ => Ok(Response::message(404, "page not found")),
        }
    }

    fn create(&self, body: &[u8]) -> Result<Response, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            cmd: Vec<String>,
        }
        let Ok(Config { cmd: command }) = serde_json::from_slice(body) else {
            return Ok(Response::message(400, "the body is not a JSON object with Cmd"));
        };
        let mut bytes = [0; 32];
        getrandom(&mut bytes, GetRandomFlags::empty())?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::create_dir(self.container(&id))?;
        self.save(&Container { id: id.clone(), command, state: State::Created })?;
        Ok(Response::json(201, &json!({ "Id": id, "Warnings": [] })))
    }

    fn list(&self) -> Result<Response, Refusal> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.directory.join("containers"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // One that is being created or removed has no state.
            all.extend(self.current(&name)?.as_ref().map(description));
        }
        Ok(Response::json(200, &Value::Array(all)))
    }
}

/// Whether it can be an id, and is not a path to somewhere else.
fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a client is told of a container.
fn description(container: &Container) -> Value {
    let (status, pid, code) = match container.state {
        State::Created => ("created", 0, 0),
        State::Running { pid, .. } => ("running", pid, 0),
        State::Exited { code } => ("exited", 0, code),
    };
    json!({
        "Id": container.id,
        "Config": { "Cmd": container.command },
        "State": {
            "Status": status, "Running": status == "running", "Pid": pid, "ExitCode": code,
        },
    })
}
