//! Starting a supervisor.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The program, compiled by `build.rs`.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/supervisor"));

/// What a supervisor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisorOptions {
    /// Whether the process has an open standard input, rather than `/dev/null`.
    pub stdin: bool,
    /// Whether that is closed when the first client that was attached to it goes.
    pub stdin_once: bool,
    /// Whether the process has a terminal, which the launcher sends.
    pub tty: bool,
    /// How its output is logged; `None` means it is not.
    pub log: Option<LogOptions>,
}

/// How output is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// The size in bytes at which a file is rotated; 0 means never.
    pub max_size: u64,
    /// How many files there may be.
    pub max_files: u32,
}

/// A supervisor that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// Its program cannot be executed.
    #[error("start a supervisor in {directory:?}")]
    Start {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not make its socket or its files.
    #[error("prepare the supervisor in {directory:?}")]
    Prepare {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Starts a supervisor in `directory`, which executes `launcher` with these words when a client lets
/// it. It listens when this returns, and is no child of this process.
///
/// # Errors
///
/// When it cannot be started, or cannot make what it needs.
pub fn start(
    directory: &Path,
    options: &SupervisorOptions,
    launcher: &File,
    words: &[&str],
) -> Result<(), SupervisorError> {
    let failed = |source| SupervisorError::Start { directory: directory.into(), source };
    let program = program().map_err(failed)?;
    let letter = |on: bool, letter: &'static str| if on { letter } else { "" };
    let flags = [
        "-",
        letter(options.stdin, "i"),
        letter(options.stdin_once, "1"),
        letter(options.tty, "t"),
        letter(options.log.is_some(), "l"),
    ];
    let log = options.log.unwrap_or(LogOptions { max_size: 0, max_files: 1 });
    let launcher = launcher.try_clone().map_err(failed)?;
    let status = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0("isolab-supervisor")
        .arg(flags.concat())
        .args([log.max_size.to_string(), log.max_files.max(1).to_string()])
        .args(words)
        .current_dir(directory)
        .stdin(launcher)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(failed)?;
    match status.code() {
        Some(0) => Ok(()),
        Some(errno) => {
            let source = io::Error::from_raw_os_error(errno);
            Err(SupervisorError::Prepare { directory: directory.into(), source })
        }
        None => Err(failed(io::Error::other(status.to_string()))),
    }
}

/// The program in memory, once for this process.
fn program() -> io::Result<&'static OwnedFd> {
    static MADE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let made = host::sealed_memfd(PROGRAM)?;
    Ok(MADE.get_or_init(|| made.into()))
}
