//! The supervisor: one event loop, which no client can block.

use std::{
    io::Read as _,
    os::{fd::AsFd as _, unix::net::UnixStream, unix::process::ExitStatusExt as _},
    path::Path,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::{Pid, setsid},
};
use sandbox::{Detached, ExitRecord, Ledger, unix_ms};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH},
    iterator::Signals,
    low_level::pipe,
};

use crate::{
    connections::Connections,
    error::{Error, at},
    frame::Frame,
    launcher::Launcher,
    log::LogWriter,
    settings::{Callbacks, Settings},
};

/// How much output of the launcher before its program runs is kept for the error message.
const START_ERRORS: usize = 64 << 10;
/// How long after the start `settled` is called.
const SETTLED: Duration = Duration::from_secs(1);

/// The result of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// The program ran, and has ended.
    Ended,
    /// The program did not start: the launcher's exit code and output.
    Failed(u8, Vec<u8>),
}

/// Runs the launcher `command` until it ends, and keeps its log, its clients and its exit record in
/// `ledger`. The calling process becomes the leader of a session of its own.
///
/// # Errors
///
/// When the launcher cannot be started or the ledger cannot be written; nothing is left behind.
pub fn supervise(
    ledger: &Ledger,
    settings: &Settings,
    command: Command,
    callbacks: Callbacks<'_>,
) -> Result<StartOutcome, Error> {
    // Independent of the caller's terminal (setsid(2)); it fails for a process that leads a session
    // already.
    let _ = setsid();
    let directory = ledger.make_directory_of(&settings.name)?;
    let begun = Supervisor::begin(settings, command, &directory);
    let ended = begun.and_then(|supervisor| supervisor.until_the_end(ledger, settings, callbacks));
    if !matches!(ended, Ok(StartOutcome::Ended)) {
        // The entry too, if the launcher has written one.
        forget(ledger, settings)?;
    }
    ended
}

/// Removes everything in the ledger about a run of this supervisor.
fn forget(ledger: &Ledger, settings: &Settings) -> Result<(), Error> {
    let entry = ledger.find(&settings.name)?.filter(|entry| is_ours(entry.detached.as_ref()));
    drop(entry.and_then(|entry| ledger.adopt(&entry)));
    ledger.remove_directory_of(&settings.name);
    Ok(())
}

fn is_ours(detached: Option<&Detached>) -> bool {
    detached.is_some_and(|detached| detached.supervisor.pid == std::process::id())
}

struct Supervisor {
    launcher: Launcher,
    log: LogWriter,
    connections: Connections,
    signals: Signals,
    woken: UnixStream,
    started: bool,
    start_errors: Vec<u8>,
}

impl Supervisor {
    fn begin(settings: &Settings, command: Command, directory: &Path) -> Result<Self, Error> {
        let noted = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        // Handlers are set even for signals that the caller ignores: with SIGCHLD ignored, the
        // status of a child is lost (wait(2)).
        let signals = Signals::new(noted).map_err(at("set the signal handlers"))?;
        let (woken, wake) = UnixStream::pair().map_err(at("make a pair of sockets"))?;
        woken.set_nonblocking(true).map_err(at("make a socket non-blocking"))?;
        for signal in noted {
            let end = wake.try_clone().map_err(at("duplicate a socket"))?;
            pipe::register(signal, end).map_err(at("set the signal handlers"))?;
        }
        let log = LogWriter::create(directory).map_err(at("create the log"))?;
        let connections = Connections::listen(directory).map_err(at("make the socket"))?;
        let launcher = Launcher::start(command, settings, directory)?;
        let (started, start_errors) = (false, Vec::new());
        Ok(Self { launcher, log, connections, signals, woken, started, start_errors })
    }

    fn until_the_end(
        mut self,
        ledger: &Ledger,
        settings: &Settings,
        mut callbacks: Callbacks<'_>,
    ) -> Result<StartOutcome, Error> {
        let began = Instant::now();
        let mut settled = false;
        let status = loop {
            let patience = match settled {
                true => None,
                false => Some(SETTLED.saturating_sub(began.elapsed())),
            };
            self.wait(patience)?;
            match self.turn(&mut callbacks)? {
                Some(status) => break status,
                None if !settled && began.elapsed() >= SETTLED => {
                    settled = true;
                    (callbacks.settled)();
                }
                None => {}
            }
        };
        let code = match status.signal() {
            Some(signal) => 128 + u8::try_from(signal).unwrap_or(0),
            None => u8::try_from(status.code().unwrap_or_default()).unwrap_or(u8::MAX),
        };
        if !self.started {
            return Ok(StartOutcome::Failed(code, self.start_errors));
        }
        let entry = ledger.find(&settings.name)?.filter(|entry| is_ours(entry.detached.as_ref()));
        if let Some(claim) = entry.and_then(|entry| ledger.adopt(&entry)) {
            // If the launcher was killed, its resources; otherwise what others made for the run.
            (callbacks.free)(claim.entry());
            record(claim, code)?;
        }
        self.connections.send_exit(code);
        Ok(StartOutcome::Ended)
    }

    /// Waits for an event, at most this long.
    fn wait(&self, patience: Option<Duration>) -> Result<(), Error> {
        let receive = self.launcher.takes_input();
        let mut watched = vec![PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
        if !self.started {
            watched.push(PollFd::new(self.launcher.start.as_fd(), PollFlags::POLLIN));
        }
        for (_, output) in &self.launcher.outputs {
            watched.extend(output.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        }
        let input = self.launcher.input_to_watch();
        watched.extend(input.map(|input| PollFd::new(input, PollFlags::POLLOUT)));
        watched.extend(self.connections.watched(receive));
        // One millisecond more, so that the time has passed when it wakes up.
        let timeout = patience.map_or(PollTimeout::NONE, |patience| {
            PollTimeout::try_from(patience.as_millis() + 1).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(at("poll")(errno)),
        }
    }

    /// Handles all events; returns the launcher's status once it has ended.
    fn turn(&mut self, callbacks: &mut Callbacks<'_>) -> Result<Option<ExitStatus>, Error> {
        while (&self.woken).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        let signals: Vec<i32> = self.signals.pending().collect();
        // Checked before the last read of its output: no output comes afterwards.
        let ended = self.launcher.child.try_wait().map_err(at("wait for the launcher"))?;
        for signal in signals.into_iter().filter(|signal| *signal != SIGCHLD) {
            self.signal(signal);
        }
        if !self.started && self.launcher.has_started() {
            self.started = true;
            self.start_errors = Vec::new();
            (callbacks.started)();
        }
        for output in 0..self.launcher.outputs.len() {
            self.take_output(output, ended.is_some());
        }
        let receive = self.launcher.takes_input();
        for frame in self.connections.serve(receive) {
            match frame {
                Frame::Input(bytes) if self.launcher.input.is_some() => {
                    self.launcher.waiting.extend(bytes);
                }
                Frame::Resize(rows, columns) => {
                    self.launcher.resize((rows, columns));
                    // The kernel signals only processes that have it as their controlling terminal.
                    self.signal(SIGWINCH);
                }
                Frame::Signal(signal) => self.signal(signal.into()),
                _ => {}
            }
        }
        self.launcher.type_in();
        Ok(ended)
    }

    /// Writes output to the log, then sends it to the clients: a few chunks at a time, and at the
    /// launcher's end at most the capacity of a pipe (pipe(7)), because a process that it left
    /// behind could write forever.
    fn take_output(&mut self, output: usize, all: bool) {
        const CHUNK: usize = 32 << 10;
        const PIPE: usize = 1 << 20;
        let mut chunk = [0; CHUNK];
        let mut turns = if all { PIPE / CHUNK } else { 8 };
        let stream = self.launcher.outputs[output].0;
        while turns > 0
            && let Some(count) = self.launcher.read(output, &mut chunk)
        {
            turns -= 1;
            let bytes = &chunk[..count];
            if !self.started && self.start_errors.len() < START_ERRORS {
                self.start_errors.extend(bytes);
            }
            self.log.append(stream, bytes);
            self.connections.broadcast(stream, bytes);
        }
    }

    /// Passes a signal on to the launcher, unless it has been reaped.
    fn signal(&mut self, signal: i32) {
        if !matches!(self.launcher.child.try_wait(), Ok(None)) {
            return;
        }
        let pid = i32::try_from(self.launcher.child.id()).map(Pid::from_raw);
        if let (Ok(signal), Ok(pid)) = (Signal::try_from(signal), pid) {
            let _ = kill(pid, signal); // without effect if it has ended
        }
    }
}

/// Records how it ended, or removes the entry if that was requested.
fn record(mut claim: sandbox::Claim, code: u8) -> Result<(), Error> {
    if claim.entry().detached.as_ref().is_some_and(|detached| detached.remove) {
        return Ok(()); // dropping it removes the entry and the run's directory
    }
    claim.update(|entry| {
        if let Some(detached) = &mut entry.detached {
            detached.exit = Some(ExitRecord { code, at_ms: unix_ms() });
        }
    })?;
    claim.keep();
    Ok(())
}
