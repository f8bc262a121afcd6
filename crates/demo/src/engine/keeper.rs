//! The process that has the daemon, so that nothing is left of it even if the demonstration is killed.
//!
//! ```text
//!   isolab demo engine ── b, k ──> isolab keep-engine ──> isolab engine ──> supervisors, containers
//!                      <── pid ───        └─ at the end of its input it removes all of them
//! ```

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use sandbox::Process;

use super::{client, daemon::Daemon, recorder::OWN};
use crate::{Error, Result};

/// The words that make isolab such a process.
const WORDS: [&str; 1] = ["keep-engine"];
/// What it is asked for: to start the daemon unless it runs, and to kill it.
const BEGIN: &str = "b";
const KILL: &str = "k";

/// Does what standard input says until it ends, and then removes the daemon with all that it has made.
/// For [`EngineDemo`](super::EngineDemo), never by hand.
///
/// # Errors
///
/// When standard output cannot be written to.
pub fn keep(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut daemon = None;
    for line in input.lines().map_while(io::Result::ok) {
        let done = match (line.as_str(), &mut daemon) {
            (BEGIN, None) => Daemon::start().map(|started| daemon = Some(started)),
            (BEGIN, Some(daemon)) => daemon.begin(),
            (KILL, Some(daemon)) => {
                daemon.kill();
                Ok(())
            }
            _ => Ok(()),
        };
        match (done, &daemon) {
            (Ok(()), Some(daemon)) => {
                writeln!(output, "{} {}", daemon.pid(), daemon.directory().display())?;
            }
            (Ok(()), None) => writeln!(output, "!nothing was started")?,
            (Err(error), _) => writeln!(output, "!{}", error.message().replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
}

/// That process, seen by the demonstration. Dropping it waits until nothing is left of the daemon.
pub(super) struct Keeper {
    process: Child,
    /// `None` once it is to end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
    pid: u32,
}

impl Keeper {
    /// Starts it and the daemon. The calling thread must be in a network of its own.
    ///
    /// # Errors
    ///
    /// When one of them cannot be started.
    pub(super) fn start(program: &Path) -> Result<Self> {
        let failed = Error::system("start the process that keeps the daemon");
        let mut process = Command::new(program)
            .args(WORDS)
            // Not ended by Ctrl-C, which is for its parent.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            let gone = io::ErrorKind::BrokenPipe.into();
            return Err(Error::system("talk to the process that keeps the daemon")(gone));
        };
        let (orders, answers) = (Some(orders), BufReader::new(answers));
        let mut keeper = Self { process, orders, answers, directory: PathBuf::new(), pid: 0 };
        keeper.begin()?;
        Ok(keeper)
    }

    /// Starts the daemon, unless it runs.
    ///
    /// # Errors
    ///
    /// When nobody listens in time.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.ask(BEGIN).map_err(Error::system("start the daemon"))
    }

    /// Kills the daemon as `kill -9` does.
    ///
    /// # Errors
    ///
    /// When the process that keeps it has gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.ask(KILL).map_err(Error::system("kill the daemon"))
    }

    fn ask(&mut self, word: &str) -> io::Result<()> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{word}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let line = line.trim_end();
        if let Some(reason) = line.strip_prefix('!') {
            return Err(io::Error::other(reason.to_owned()));
        }
        let (pid, directory) = line.split_once(' ').ok_or(io::ErrorKind::UnexpectedEof)?;
        self.pid = pid.parse().map_err(io::Error::other)?;
        self.directory = directory.into();
        Ok(())
    }

    /// The daemon's socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("engine.sock")
    }

    /// A directory for clients.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The daemon's process id; 0 if it does not run.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The first process of the container `name`, which runs.
    pub(super) fn first_process(&self, name: &str) -> Option<Process> {
        let path = format!("/containers/{name}/json?{OWN}");
        let (_, body) = client::request(&self.socket(), "GET", &path, None).ok()?;
        let pid = body["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())?;
        Process::of(pid)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_started_is_not_killed() {
        let mut answers = Vec::new();
        keep(&b"k\n?\n"[..], &mut answers).unwrap();
        assert_eq!(answers, b"!nothing was started\n!nothing was started\n");
    }
}
