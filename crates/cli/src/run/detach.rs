//! `isolab run -d`: the program goes on when this command has ended.
//!
//! The command starts a [`supervisor`], and that the launcher, which is `isolab run` with the same
//! words and `--supervised`.

use std::{
    env,
    ffi::OsString,
    io::Read as _,
    os::unix::process::{CommandExt as _, parent_id},
    path::PathBuf,
    process::{Command, Stdio},
};

use clap::Args;
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use sandbox::{Detached, Ledger, Process, unix_ms};

use crate::{failure::Failure, names, output, supervise};

#[derive(Debug, Args)]
#[command(next_help_heading = "In the background")]
pub(super) struct DetachArguments {
    /// Run in the background and print the name; see `isolab ps`, `logs`, `attach`, `wait` and `stop`.
    /// The log keeps the newest 4 to 8 MiB
    #[arg(short = 'd', long = "detach", conflicts_with = "json")]
    detach: bool,
    /// With -d, remove the log and the exit code on exit; without -d nothing is kept
    #[arg(long = "rm")]
    remove: bool,
    /// This launcher has a supervisor, its parent
    #[arg(long, hide = true)]
    supervised: bool,
}

/// A launcher's side of it: it has a supervisor.
pub(super) struct Supervised {
    directory: PathBuf,
    /// For its entry in the ledger.
    pub(super) record: Detached,
}

impl DetachArguments {
    /// Whether this command is to come back at once.
    pub(super) fn in_background(&self) -> bool {
        self.detach && !self.supervised
    }

    /// Of a launcher that has a supervisor: ends with it.
    pub(super) fn supervised(
        &self,
        name: Option<&str>,
        terminal: bool,
    ) -> Result<Option<Supervised>, Failure> {
        if !self.supervised {
            return Ok(None);
        }
        let failed = Failure::at("end with the supervisor");
        set_pdeathsig(Signal::SIGKILL).map_err(|errno| failed(errno.into()))?;
        // Looked at after that: one that had ended before would have another parent take its place.
        let supervisor = Process::of(parent_id()).unwrap_or_else(Process::current);
        let ledger = Ledger::open()?;
        let directory = ledger.directory_of(name.unwrap_or_default());
        if !supervise::is_of(&directory, supervisor) {
            return Err(Failure::usage("--supervised is for the supervisor of `isolab run -d`"));
        }
        let (created_ms, remove, exit) = (unix_ms(), self.remove, None);
        let record = Detached { supervisor, created_ms, terminal, remove, exit };
        Ok(Some(Supervised { directory, record }))
    }
}

impl Supervised {
    /// Tells the supervisor that the program runs.
    pub(super) fn report_started(&self) -> Result<(), Failure> {
        supervisor::report_started(&self.directory).map_err(Failure::at("tell the supervisor"))
    }
}

/// Starts it in the background: its name on standard output once its program runs, or what its
/// launcher says and its exit code.
pub(super) fn start(name: Option<&str>, terminal: bool, interactive: bool) -> Result<u8, Failure> {
    let given = name.is_some();
    let name = match name {
        Some(name) => name.to_owned(),
        None => unused_name()?,
    };
    // Whoever waits for the end of a pipe of the caller's does not wait for the run.
    container::descriptors::close_at_execve().map_err(sandbox::Error::from)?;
    let words: Vec<OsString> = env::args_os().skip(2).collect(); // behind `isolab run`
    let mut command = Command::new("/proc/self/exe");
    command.arg0("isolab").args(["supervise", &name]);
    command.args(terminal.then_some("--tty"));
    command.args(interactive.then_some("--interactive"));
    command.args(["--", "--supervised"]);
    if !given {
        command.args(["--name", &name]);
    }
    let supervisor = command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut supervisor = supervisor.map_err(Failure::at("start a supervisor"))?;
    let mut answer = String::new();
    if let Some(mut output) = supervisor.stdout.take() {
        let read = output.read_to_string(&mut answer);
        read.map_err(Failure::at("wait for the supervisor"))?;
    }
    if answer == supervise::STARTED {
        output::print(&format!("{name}\n"))?;
        return Ok(0);
    }
    // The reason is on standard error.
    let ended = supervisor.wait().map_err(Failure::at("wait for the supervisor"))?;
    match ended.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) if code != 0 => Ok(code),
        _ => Err(Failure::refused(format!("the supervisor of {name} was killed"))
            .help("`isolab clean` removes what is left")),
    }
}

fn unused_name() -> Result<String, Failure> {
    let ledger = Ledger::open()?;
    loop {
        let name = names::make_up();
        if ledger.find(&name)?.is_none() && !ledger.directory_of(&name).exists() {
            return Ok(name);
        }
    }
}
