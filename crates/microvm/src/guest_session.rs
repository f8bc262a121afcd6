//! A second command in a Linux guest, whose streams come and go as frames through the guest's monitor.
//!
//! One thread waits for all of it: keys, the guest, signals, and room where the output goes. The
//! guest is mistrusted here too: what it sends is bounded by what was taken before, and one that
//! says nothing is not waited for.

use std::{
    ffi::OsString,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use guest::{
    frames::{self, HEADER, Header, Kind, PAYLOAD},
    plan::InitPlan,
};
use host::{IgnoredSignals, TerminalMode, terminal_size};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    flag,
    low_level::pipe,
};

/// A first process inside that has said nothing by then is not there, or does not work.
const PATIENCE: Duration = Duration::from_secs(10);

/// A second command for a guest.
#[derive(Debug, Clone, Default)]
pub struct GuestCommand {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// More variables than the guest's command has.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory, if it is to be another than that of the guest's command.
    pub directory: Option<PathBuf>,
    /// Whether it is to have a terminal of its own.
    pub terminal: bool,
}

impl GuestCommand {
    /// The order for the first process: lines of a plan.
    fn order(&self) -> String {
        let mut order = InitPlan::new();
        for (name, value) in &self.environment {
            order = order.variable(name, value);
        }
        if let Some(directory) = &self.directory {
            order = order.directory(directory);
        }
        if self.terminal {
            let (rows, columns) = terminal_size();
            order = order.window(rows, columns);
        }
        let program = self.words.first().cloned().unwrap_or_default();
        order.run(program, &self.words).text().to_owned()
    }

    /// Why no guest takes it: it is too long.
    pub fn refusal(&self) -> Option<String> {
        let (length, most) = (self.order().len(), frames::WORDS);
        let why = || format!("a command of {length} bytes: a Linux guest takes {most} at most");
        (length > most).then(why)
    }

    /// Runs it in the guest whose monitor has answered `exec` on this connection. Its streams are this
    /// process's, and so is its terminal.
    ///
    /// # Errors
    ///
    /// When it is too long, no handler of signals can be set, or the connection fails.
    pub fn run(&self, monitor: UnixStream) -> io::Result<SessionOutcome> {
        if let Some(why) = self.refusal() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let order = self.order();
        let signals = Signals::listen()?;
        let _raw = if self.terminal { TerminalMode::raw() } else { None };
        let mut session = Session::new(monitor, self.terminal);
        session.order(&order)?;
        session.serve(&signals)
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOutcome {
    /// With an exit code, or 128 and a signal's number.
    Code(u8),
    /// It could not be run, with this error (errno(3)).
    Failed(i32),
    /// Nobody in the guest answers.
    Mute,
    /// The guest has ended.
    Closed,
}

/// Signals of this process, as something that can be waited for.
struct Signals {
    wakeup: UnixStream,
    came: Vec<(i32, Arc<AtomicUsize>)>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (wakeup, tell) = UnixStream::pair()?;
        wakeup.set_nonblocking(true)?;
        let mut came = Vec::new();
        let ignored = IgnoredSignals::by_the_caller();
        let all = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];
        // A new size of the window is not a signal for the command, and is told in any case.
        let listens = |number: &i32| *number == SIGWINCH || !ignored.has(*number);
        for number in all.into_iter().filter(listens) {
            let flag = Arc::new(AtomicUsize::new(0));
            flag::register_usize(number, flag.clone(), 1)?;
            pipe::register(number, tell.try_clone()?)?;
            came.push((number, flag));
        }
        Ok(Self { wakeup, came })
    }

    /// Those that came since.
    fn take(&self) -> Vec<i32> {
        // Only that there is something matters; what, the flags say.
        let _ = (&self.wakeup).read(&mut [0; 64]);
        let came = self.came.iter().filter(|(_, flag)| flag.swap(0, Ordering::Relaxed) != 0);
        came.map(|(number, _)| *number).collect()
    }
}

struct Session {
    stream: UnixStream,
    terminal: bool,
    from_guest: Vec<u8>,
    /// What is to be written to standard output and standard error.
    to_write: [Vec<u8>; 2],
    /// Whether standard input has not ended.
    reads_input: bool,
    /// Whether the guest has taken all of it so far.
    input_taken: bool,
    started: bool,
    /// Since when an answer is missing.
    waits_since: Option<Instant>,
    outcome: Option<SessionOutcome>,
}

impl Session {
    fn new(stream: UnixStream, terminal: bool) -> Self {
        Self {
            stream,
            terminal,
            from_guest: Vec::new(),
            to_write: [Vec::new(), Vec::new()],
            reads_input: true,
            input_taken: true,
            started: false,
            waits_since: Some(Instant::now()),
            outcome: None,
        }
    }

    /// Sends a frame, unless the launcher reads no more: the command has ended then, and how is in
    /// what is still to be received.
    fn send(&mut self, kind: Kind, argument: u8, payload: &[u8]) -> io::Result<()> {
        let header = Header { length: payload.len(), ..Header::new(kind, argument, 0) };
        match self.stream.write_all(&[&header.to_bytes()[..], payload].concat()) {
            Err(error) if is_hung_up(&error) => Ok(()),
            sent => sent,
        }
    }

    fn order(&mut self, order: &str) -> io::Result<()> {
        for piece in order.as_bytes().chunks(PAYLOAD) {
            self.send(Kind::Words, 0, piece)?;
        }
        self.send(Kind::Start, 0, &[])
    }

    fn serve(&mut self, signals: &Signals) -> io::Result<SessionOutcome> {
        loop {
            let written = self.to_write.iter().all(Vec::is_empty);
            if let Some(outcome) = self.outcome
                && written
            {
                return Ok(outcome);
            }
            let [input, output, errors, guest, signal] = self.wait(signals);
            if signal {
                for number in signals.take() {
                    self.pass_on(number)?;
                }
            }
            for (stream, ready) in [(0, output), (1, errors)] {
                if ready {
                    self.write(stream)?;
                }
            }
            if input {
                self.read_input()?;
            }
            if guest {
                self.receive()?;
            }
            if self.waits_since.is_some_and(|since| since.elapsed() >= PATIENCE) {
                return Ok(SessionOutcome::Mute);
            }
        }
    }

    /// Which can be used: input, output, errors, the guest, signals.
    fn wait(&self, signals: &Signals) -> [bool; 5] {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let reads = self.started && self.reads_input && self.input_taken && self.outcome.is_none();
        let when = |wanted: bool, flags: PollFlags| wanted.then_some(flags);
        let wanted: [(BorrowedFd<'_>, Option<PollFlags>); 5] = [
            (stdin.as_fd(), when(reads, PollFlags::POLLIN)),
            (stdout.as_fd(), when(!self.to_write[0].is_empty(), PollFlags::POLLOUT)),
            (stderr.as_fd(), when(!self.to_write[1].is_empty(), PollFlags::POLLOUT)),
            (self.stream.as_fd(), when(self.outcome.is_none(), PollFlags::POLLIN)),
            (signals.wakeup.as_fd(), when(true, PollFlags::POLLIN)),
        ];
        let mut polled = Vec::new();
        let mut places = [None; 5];
        for (place, (file, flags)) in places.iter_mut().zip(wanted) {
            if let Some(flags) = flags {
                *place = Some(polled.len());
                polled.push(PollFd::new(file, flags));
            }
        }
        let left = self.waits_since.map(|since| PATIENCE.saturating_sub(since.elapsed()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        // A signal interrupts it, and has made its file ready.
        if poll(&mut polled, timeout).is_err() {
            return [false, false, false, false, true];
        }
        places.map(|place| place.is_some_and(|at: usize| polled[at].any().unwrap_or(true)))
    }

    fn read_input(&mut self) -> io::Result<()> {
        let mut piece = [0; PAYLOAD];
        match unistd::read(io::stdin(), &mut piece) {
            Ok(count @ 1..) => {
                self.input_taken = false;
                self.send(Kind::Input, 0, &piece[..count])
            }
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => Ok(()),
            // It has ended, or can no longer be read, which for the command is the same.
            _ => {
                self.reads_input = false;
                self.send(Kind::Input, 0, &[])
            }
        }
    }

    /// Writes what there is room for, at least a byte of it.
    fn write(&mut self, stream: usize) -> io::Result<()> {
        let bytes = &self.to_write[stream];
        let written = match stream {
            0 => unistd::write(io::stdout(), bytes),
            _ => unistd::write(io::stderr(), bytes),
        };
        match written {
            Ok(count) => drop(self.to_write[stream].drain(..count)),
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => return Ok(()),
            // Nobody reads any more: the command is told as a process would be.
            Err(_) => {
                self.to_write[stream].clear();
                const SIGPIPE: u8 = 13;
                self.send_while_it_runs(Kind::Signal, SIGPIPE)?;
            }
        }
        match self.to_write[stream].is_empty() {
            true => self.send_while_it_runs(Kind::Taken, stream as u8 + 1),
            false => Ok(()),
        }
    }

    fn send_while_it_runs(&mut self, kind: Kind, argument: u8) -> io::Result<()> {
        match self.outcome {
            Some(_) => Ok(()),
            None => self.send(kind, argument, &[]),
        }
    }

    fn pass_on(&mut self, number: i32) -> io::Result<()> {
        if number == SIGWINCH {
            let (rows, columns) = terminal_size();
            let size = [rows.to_le_bytes(), columns.to_le_bytes()].concat();
            return if self.terminal { self.send(Kind::Window, 0, &size) } else { Ok(()) };
        }
        // Asked twice, it is not waited for an answer.
        if self.waits_since.is_some() {
            self.outcome = Some(SessionOutcome::Code(128 + number as u8));
            self.to_write.iter_mut().for_each(Vec::clear);
            return Ok(());
        }
        self.waits_since = Some(Instant::now());
        self.send(Kind::Signal, number as u8, &[])
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut piece = [0; HEADER + PAYLOAD];
        match self.stream.read(&mut piece) {
            Ok(0) => self.outcome = Some(SessionOutcome::Closed),
            Ok(count) => self.from_guest.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_hung_up(&error) => self.outcome = Some(SessionOutcome::Closed),
            Err(error) => return Err(error),
        }
        let received = std::mem::take(&mut self.from_guest);
        let mut rest = &*received;
        while let Ok(Some((header, payload))) = frames::first(rest) {
            rest = &rest[HEADER + payload.len()..];
            self.hear(header, payload);
        }
        self.from_guest = rest.to_vec();
        Ok(())
    }

    fn hear(&mut self, header: Header, payload: &[u8]) {
        match header.kind {
            Kind::Started => (self.started, self.waits_since) = (true, None),
            Kind::Heard => self.waits_since = None,
            Kind::Taken => self.input_taken = true,
            Kind::Output => {
                let stream = usize::from(header.argument).wrapping_sub(1);
                if let Some(bytes) = self.to_write.get_mut(stream) {
                    bytes.extend_from_slice(payload);
                }
            }
            Kind::Exited => self.outcome = Some(SessionOutcome::Code(header.argument)),
            Kind::Signaled => {
                self.outcome = Some(SessionOutcome::Code(header.argument.saturating_add(128)));
            }
            Kind::Failed => {
                let errno = payload.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
                self.outcome = Some(SessionOutcome::Failed(errno));
            }
            _ => {}
        }
    }
}

/// Nobody reads at the other end any more.
fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_that_has_closed_its_end_is_believed_about_the_exit_code() {
        let (stream, mut launcher) = UnixStream::pair().unwrap();
        let mut session = Session::new(stream, false);
        session.order("run true").unwrap();
        let frames = [(Kind::Started, 0), (Kind::Output, 1), (Kind::Exited, 42)];
        for (kind, argument) in frames {
            launcher.write_all(&Header::new(kind, argument, 0).to_bytes()).unwrap();
        }
        // What the session sent is not read: the connection is reset, not just closed.
        drop(launcher);
        session.send(Kind::Taken, 1, &[]).unwrap();
        session.send(Kind::Input, 0, b"more").unwrap();
        let signals = Signals::listen().unwrap();
        assert!(matches!(session.serve(&signals), Ok(SessionOutcome::Code(42))));
    }

    #[test]
    fn a_launcher_that_is_gone_without_a_word_has_ended_the_command() {
        let (stream, launcher) = UnixStream::pair().unwrap();
        drop(launcher);
        let mut session = Session::new(stream, false);
        session.order("run true").unwrap();
        let signals = Signals::listen().unwrap();
        assert!(matches!(session.serve(&signals), Ok(SessionOutcome::Closed)));
    }
}
