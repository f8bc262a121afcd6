//! Starting a supervisor.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use host::sealed_memfd;

use super::SUPERVISOR;

/// What a process's streams are, and whether they are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SupervisorOptions {
    /// Standard input stays open for clients; otherwise it is empty.
    pub stdin: bool,
    /// It is closed when the first client that has it sends no more (Docker's `StdinOnce`).
    pub stdin_once: bool,
    /// The streams are a terminal, whose master the launcher sends.
    pub tty: bool,
    /// The log of its output; `None` means none.
    pub log: Option<LogOptions>,
}

/// How large the log may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// A new file begins when the newest has at least that many bytes; 0 means never.
    pub max_size: u64,
    /// How many files are kept, the newest included; 0 means the same as 1. More than 1000 are not
    /// kept: each of them is renamed when a new one begins.
    pub max_files: u32,
}

const MOST_FILES: u32 = 1000;

/// Why a supervisor did not start.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// There is no memory for the program, or no descriptor.
    #[error("write the supervisor's program to memory")]
    Program(#[source] io::Error),
    /// The program cannot be executed.
    #[error("execute the supervisor in {directory:?}")]
    Execute {
        /// Its working directory.
        directory: PathBuf,
        /// Those of fork(2), chdir(2) and execve(2).
        source: io::Error,
    },
    /// It has given up: for example the directory cannot be written to.
    #[error("start the supervisor in {directory:?}")]
    Begin {
        /// Its working directory.
        directory: PathBuf,
        /// The error of its system call.
        source: io::Error,
    },
}

/// Starts a supervisor in a directory, and waits until clients may connect (about a millisecond). It
/// starts `launcher`, an open executable file, with these `words`, the first of them its name, when a
/// client asks for it ([`Connection::go`](super::Connection::go)); if there is no client for half a
/// minute before that, it ends.
///
/// The launcher has the caller's environment. Its working directory is `directory`, its standard
/// streams are to be those of the process that it makes, or `/dev/null` where there is a terminal.
/// Over the socket that is its descriptor 3 it sends one message: the id of that process, 32 bits in
/// the machine's order, and with it the terminal's master, if there is one (SCM_RIGHTS of unix(7)).
/// It has failed if it writes to descriptor 4, at most 4 KiB: the words of
/// [`Message::Failed`](super::Message::Failed); or if its exit code is not 0. The process is made a
/// child of the supervisor by the end of the launcher.
///
/// # Errors
///
/// When the supervisor cannot be started, or cannot make its files in `directory`.
pub fn start(
    directory: &Path,
    options: &SupervisorOptions,
    launcher: impl AsFd,
    words: &[impl AsRef<OsStr>],
) -> Result<(), SupervisorError> {
    let program = program().map_err(SupervisorError::Program)?;
    let executing = |source| SupervisorError::Execute { directory: directory.to_owned(), source };
    // Descriptor 0, because that is the one that Command can pass without unsafe code.
    let launcher = launcher.as_fd().try_clone_to_owned().map_err(executing)?;
    let log = options.log.unwrap_or(LogOptions { max_size: 0, max_files: 1 });
    let status = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0("isolab-supervisor")
        .args([
            options.flags(),
            log.max_size.to_string(),
            log.max_files.min(MOST_FILES).to_string(),
        ])
        .args(words)
        .current_dir(directory)
        .stdin(launcher)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(executing)?;
    match status.code() {
        Some(0) => Ok(()),
        code => {
            let killed = || io::Error::other(format!("it has ended with {status}"));
            let source = code.map_or_else(killed, io::Error::from_raw_os_error);
            Err(SupervisorError::Begin { directory: directory.to_owned(), source })
        }
    }
}

impl SupervisorOptions {
    /// The first word of its command line (`programs/supervisor/arguments.rs`).
    fn flags(&self) -> String {
        let all =
            [('i', self.stdin), ('1', self.stdin_once), ('t', self.tty), ('l', self.log.is_some())];
        all.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)).collect()
    }
}

/// The program in memory, written once a process.
fn program() -> io::Result<File> {
    static PROGRAM: Mutex<Option<File>> = Mutex::new(None);
    let mut program = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match program.take() {
        Some(file) => file,
        None => sealed_memfd(SUPERVISOR)?,
    };
    program.insert(file).try_clone()
}
