//! The supervisor: one loop, which waits for nobody.

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

/// So much of what a launcher says before its program runs is kept to be told.
const START_ERRORS: usize = 64 << 10;
/// After this long a run is one that stays.
const SETTLED: Duration = Duration::from_secs(1);

/// What became of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// The program ran, and has ended.
    Ended,
    /// It did not come to that: the launcher's exit code, and what it said.
    Failed(u8, Vec<u8>),
}

/// Runs the launcher `command` until it ends, and keeps its log, its clients and its exit record in
/// `ledger`. The calling process becomes the leader of a session of its own.
///
/// # Errors
///
/// When the launcher cannot be started or the ledger written; nothing is left then.
pub fn supervise(
    ledger: &Ledger,
    settings: &Settings,
    command: Command,
    callbacks: Callbacks<'_>,
) -> Result<StartOutcome, Error> {
    // The caller's terminal may go (setsid(2)); it fails for who leads one already.
    let _ = setsid();
    let directory = ledger.make_directory_of(&settings.name)?;
    let begun = Supervisor::begin(settings, command, &directory);
    let ended = begun.and_then(|supervisor| supervisor.until_the_end(ledger, settings, callbacks));
    if !matches!(ended, Ok(StartOutcome::Ended)) {
        // The entry too, if the launcher came to write one.
        forget(ledger, settings)?;
    }
    ended
}

/// Removes what the ledger has of a run of this supervisor's.
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
        // Handlers also where the caller ignores them: of an ignored SIGCHLD nobody learns how a
        // child ended (wait(2)).
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
            // Of a launcher that was killed, what it held; else what others made for the run.
            (callbacks.free)(claim.entry());
            record(claim, code)?;
        }
        self.connections.send_exit(code);
        Ok(StartOutcome::Ended)
    }

    /// Waits until there is something to do, or for so long.
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
        // A millisecond more, so that the time has passed when it wakes up.
        let timeout = patience.map_or(PollTimeout::NONE, |patience| {
            PollTimeout::try_from(patience.as_millis() + 1).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(at("poll")(errno)),
        }
    }

    /// Does what there is to do; how the launcher ended, once it has.
    fn turn(&mut self, callbacks: &mut Callbacks<'_>) -> Result<Option<ExitStatus>, Error> {
        while (&self.woken).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        let signals: Vec<i32> = self.signals.pending().collect();
        // Asked before the last look at what it wrote: nothing comes after that.
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
                    // The kernel tells those only whose controlling terminal it is.
                    self.signal(SIGWINCH);
                }
                Frame::Signal(signal) => self.signal(signal.into()),
                _ => {}
            }
        }
        self.launcher.type_in();
        Ok(ended)
    }

    /// Writes one output to the log, then shows it to the clients: a few chunks at a time, and at the
    /// launcher's end as much as a pipe can hold (pipe(7)). A process that it left behind could
    /// write for ever.
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
            let _ = kill(pid, signal); // one that has ended gets none
        }
    }
}

/// Writes down how it ended, or strikes it out if that was asked for.
fn record(mut claim: sandbox::Claim, code: u8) -> Result<(), Error> {
    if claim.entry().detached.as_ref().is_some_and(|detached| detached.remove) {
        return Ok(()); // dropped: removed with all that is known of it
    }
    claim.update(|entry| {
        if let Some(detached) = &mut entry.detached {
            detached.exit = Some(ExitRecord { code, at_ms: unix_ms() });
        }
    })?;
    claim.keep();
    Ok(())
}
