//! `isolab supervise`: the process that stays with a run in the background. Started by
//! `isolab run -d`, never by hand.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

use clap::Args;
use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use sandbox::{Ledger, Process};
use supervisor::{Callbacks, Settings, StartOutcome};

use crate::failure::Failure;

/// What it says on standard output once the program runs.
pub const STARTED: &str = "started\n";

/// Keep the log, the streams and the exit record of a run in the background.
#[derive(Debug, Args)]
pub struct Arguments {
    name: String,
    #[arg(long)]
    tty: bool,
    #[arg(long)]
    interactive: bool,
    /// The words behind `isolab run`.
    #[arg(last = true)]
    words: Vec<OsString>,
}

/// Does it, until the run has ended.
pub fn supervise(arguments: &Arguments) -> Result<u8, Failure> {
    let settings = Settings {
        name: arguments.name.clone(),
        terminal: arguments.tty,
        input: arguments.interactive,
    };
    let mut command = Command::new("/proc/self/exe");
    command.arg0("isolab").arg("run").args(&arguments.words);
    let callbacks = Callbacks {
        started: &mut || {
            let mut output = io::stdout();
            let _ = output.write_all(STARTED.as_bytes()).and_then(|()| output.flush());
            leave_streams();
        },
        settled: &mut || drop(container::drop_clean_pages()),
        free: &mut |entry| drop(container::free_resources(entry)),
    };
    match supervisor::supervise(&Ledger::open()?, &settings, command, callbacks)? {
        StartOutcome::Ended => Ok(0),
        StartOutcome::Failed(code, start_errors) => {
            let _ = io::stderr().write_all(&start_errors);
            // A launcher that ended well without running its program was asked for help.
            Ok(code)
        }
    }
}

/// The caller's streams are not kept open: who reads them waits for the end of all who might write.
fn leave_streams() {
    if let Ok(null) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) {
        let left = [dup2_stdin(&null), dup2_stdout(&null), dup2_stderr(&null)];
        debug_assert!(left.iter().all(Result::is_ok), "duplicating onto an open descriptor");
    }
}

/// Whether `directory` is the one of a run that `supervisor` keeps.
pub fn is_of(directory: &Path, supervisor: Process) -> bool {
    let owner = fs::read(directory.join("supervisor")).ok();
    owner.and_then(|owner| serde_json::from_slice(&owner).ok()) == Some(supervisor)
}
