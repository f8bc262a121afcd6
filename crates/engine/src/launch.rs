//! The launcher: the process that makes a container, or a command that joins one, and ends.
//!
//! Its parent is the container's supervisor, which becomes the parent of what it leaves. It is a
//! process of its own because the daemon has many threads and no reason to hold a container's
//! terminal or pipes.
//!
//! ```text
//!   daemon ──> supervisor ──> launcher ── clone3 ──> the container's first process
//!                   ^                                        │
//!                   └────────── its new parent ──────────────┘  when the launcher ends
//! ```

mod microvm;

use std::{
    fs::File,
    io::{IoSlice, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::parent_id,
    },
    path::Path,
};

use container::{Command, Prepared};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use sandbox::{Ledger, LedgerEntry, Process, Stdio, Trace};
use serde::{Deserialize, Serialize};

pub(crate) use microvm::ReadinessReport;

use crate::{
    exec::record::ExecRecord,
    runtime::Runtime,
    spec::{self, NetworkSetup, Shared},
    state::{self, record::Record},
    watch::TRACE,
};

/// What the launcher reads in its working directory.
pub const REQUEST: &str = "launch.json";

/// The socket to the supervisor, and the pipe for the reason of a failure.
const SOCKET: i32 = 3;
const REASON: &str = "/proc/self/fd/4";

/// The FIFO at which the first process waits until the supervisor knows of it.
const GATE: &str = "gate";

/// What is to be started.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchRequest {
    /// A container.
    Container(Box<ContainerLaunch>),
    /// A command in a running container.
    Exec(ExecRecord),
}

/// A container that is to be started.
#[derive(Debug, Serialize, Deserialize)]
pub struct ContainerLaunch {
    /// Its record.
    pub record: Record,
    /// Whose namespaces it joins.
    pub shared: Shared,
    /// Its network.
    pub network: NetworkSetup,
    /// Whether the launcher writes the trace of its calls.
    #[serde(default)]
    pub trace: bool,
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFailure {
    /// For a person.
    pub message: String,
    /// The exit code that stands for it: 127 when the program does not exist, 126 when it cannot be
    /// executed, and otherwise 128.
    pub code: i64,
}

impl LaunchFailure {
    /// What a launcher has written; of one that was killed it is nothing.
    pub fn read(text: &[u8]) -> Self {
        let killed = || Self { message: "the launcher was killed".into(), code: 128 };
        serde_json::from_slice(text).unwrap_or_else(|_| killed())
    }

    /// There is nobody left to ask.
    pub fn of_lost_supervisor() -> Self {
        Self { message: "the supervisor was killed".into(), code: 128 }
    }
}

impl From<sandbox::Error> for LaunchFailure {
    fn from(error: sandbox::Error) -> Self {
        // The docker command tells 126 and 127 from other failures by these words.
        match error {
            sandbox::Error::NotFound { program, .. } => {
                let program = program.to_string_lossy();
                let why = match program.contains('/') {
                    true => format!("stat {program}: no such file or directory"),
                    false => "executable file not found in $PATH".into(),
                };
                Self { message: format!("exec: {program:?}: {why}"), code: 127 }
            }
            sandbox::Error::NotExecutable { program, source, .. } => {
                let errno =
                    source.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
                let errno =
                    errno.or_else(|| source.downcast_ref::<Errno>().map(|errno| *errno as i32));
                let why = match errno {
                    Some(nix::libc::ENOEXEC) => "exec format error".into(),
                    Some(nix::libc::EACCES) => "permission denied".into(),
                    _ => source.to_string(),
                };
                Self { message: format!("exec: {program:?}: {why}"), code: 126 }
            }
            error => Self { message: sandbox::chain(&error), code: 128 },
        }
    }
}

/// Starts what the request in the working directory says. The result is the exit code of this process.
pub fn launch() -> u8 {
    let Err(failure) = start() else { return 0 };
    let text = serde_json::to_vec(&failure).unwrap_or_default();
    let written = File::options().write(true).open(REASON).and_then(|mut to| to.write_all(&text));
    u8::from(written.is_err()) + 1
}

fn start() -> Result<(), LaunchFailure> {
    let other = |message: String| LaunchFailure { message, code: 128 };
    let request = state::load(Path::new(REQUEST)).map_err(|error| other(sandbox::chain(&error)))?;
    match request {
        LaunchRequest::Container(launch) => container(&launch),
        LaunchRequest::Exec(record) => exec(&record),
    }
}

fn container(launch: &ContainerLaunch) -> Result<(), LaunchFailure> {
    let record = &launch.record;
    let here = std::env::current_dir().map_err(failed("find the working directory"))?;
    let mut spec = spec::of(record, &here, &launch.shared)
        .map_err(|error| LaunchFailure { message: error.message, code: 128 })?;
    let runtime = record.runtime();
    let ledger = Ledger::open().map_err(ledger_failed)?;
    match runtime {
        Runtime::Microvm => microvm::name_monitor(&mut spec, &ledger),
        Runtime::Container | Runtime::Process => spec::connect(&mut spec, &launch.network),
    }
    let prepared = Prepared::new(&spec)?.traced(launch.trace);
    // Recorded before anything is made: its supervisor is the process that may not be lost.
    let mut recorded =
        LedgerEntry::new(record.ledger_name(), runtime.ledger_kind(), record.arguments.clone());
    recorded.launcher = Process::of(parent_id()).unwrap_or_else(Process::current);
    recorded.resources = prepared.resources();
    let mut claim = ledger.claim(recorded).map_err(ledger_failed)?;
    let _ = std::fs::remove_file(GATE); // of a launcher that was killed
    let is_machine = runtime == Runtime::Microvm;
    let readiness = is_machine.then(microvm::Readiness::listen).transpose()?;
    let mut created = prepared.create(Path::new(GATE))?;
    write_trace(created.trace());
    let state = serde_json::to_value(created.state()).ok();
    let first = created.state().first;
    // From now on it is that process's: its supervisor may outlive it, for slow clients.
    let note = |entry: &mut LedgerEntry| {
        (entry.launcher, entry.first, entry.state) = (first, Some(first), state);
    };
    claim.update(note).map_err(ledger_failed)?;
    let terminal = created.terminal().map_err(sandbox::Error::from)?;
    // The supervisor knows the process before it runs anything.
    tell(first.pid, terminal.as_ref())?;
    if !launch.network.links.is_empty() {
        await_network()?;
    }
    let begun = created.start().map_err(LaunchFailure::from);
    let begun = begun.and_then(|()| readiness.map_or(Ok(()), |readiness| readiness.wait(first)));
    if let Err(failure) = begun {
        // Dropped in this order: the container is gone before its record.
        drop(created);
        drop(claim);
        return Err(failure);
    }
    created.detach();
    claim.keep();
    Ok(())
}

/// Waits until the daemon serves names and ports: the program's first question is answered.
fn await_network() -> Result<(), LaunchFailure> {
    let mut byte = [0];
    match recv(SOCKET, &mut byte, MsgFlags::empty()) {
        Ok(1) => Ok(()),
        Ok(_) => Err(LaunchFailure { message: "the supervisor has ended".into(), code: 128 }),
        Err(errno) => Err(failed("wait for the network")(errno.into())),
    }
}

fn exec(record: &ExecRecord) -> Result<(), LaunchFailure> {
    let gone = || LaunchFailure { message: "the container has ended".into(), code: 128 };
    let ledger = Ledger::open().map_err(ledger_failed)?;
    let found = ledger.find(&record.ledger_name).map_err(ledger_failed)?.ok_or_else(gone)?;
    if found.sandbox == Runtime::Microvm.ledger_kind() {
        return microvm::exec(&found, record);
    }
    let mut command = Command::new(record.words.iter());
    command.environment = record.environment.clone();
    command.directory = record.directory.clone();
    command.is_traced = record.trace;
    command.stdio = if record.tty { Stdio::Terminal } else { Stdio::Inherit };
    if let Some(user) = &record.user {
        let user = container::user_in(&found, user)?;
        command.user = Some(user.user);
    }
    let left = command.leave(&found)?;
    write_trace(&left.trace);
    tell(left.pid, left.terminal.as_ref())
}

/// The command that the request in the working directory wants to have run in a container.
///
/// # Errors
///
/// When there is no such request.
pub fn exec_request() -> Result<ExecRecord, LaunchFailure> {
    let other = |message: String| LaunchFailure { message, code: 128 };
    match state::load(Path::new(REQUEST)).map_err(|error| other(sandbox::chain(&error)))? {
        LaunchRequest::Exec(record) => Ok(record),
        LaunchRequest::Container(_) => Err(other("the request is not that of a command".into())),
    }
}

/// Leaves the calls for the daemon, if they were asked for.
fn write_trace(trace: &Trace) {
    if trace.enabled()
        && let Ok(text) = serde_json::to_vec(&trace.entries)
    {
        // Without it a watcher sees less, and the container is the same.
        let _ = std::fs::write(TRACE, text);
    }
}

/// Tells the supervisor which process it is to wait for, and gives it the terminal.
fn tell(pid: u32, terminal: Option<&OwnedFd>) -> Result<(), LaunchFailure> {
    let number = pid.to_ne_bytes();
    let descriptors = terminal.map(|terminal| [terminal.as_raw_fd()]);
    let control = descriptors.as_ref().map(|all| ControlMessage::ScmRights(all));
    let control = control.as_slice();
    let sent = sendmsg::<()>(SOCKET, &[IoSlice::new(&number)], control, MsgFlags::empty(), None);
    sent.map(drop).map_err(|errno| failed("tell the supervisor")(errno.into()))
}

fn failed(action: &str) -> impl Fn(std::io::Error) -> LaunchFailure {
    move |error| LaunchFailure { message: format!("{action}: {error}"), code: 128 }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn ledger_failed(error: sandbox::LedgerError) -> LaunchFailure {
    LaunchFailure { message: sandbox::chain(&error), code: 128 }
}
