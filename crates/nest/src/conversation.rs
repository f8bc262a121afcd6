//! How the nest reaches the host: everything that QEMU's pipes carry, until it ends.

use std::{
    io::{self, ErrorKind, Read, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use guest::plan::{InitPlan, Report};
use host::TerminalMode;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use sandbox::{Capture, Status, Stdio};

use crate::{
    Error, Nest, NestOutcome, Result, error::call, machine::Machine, reports::Reports, tail::Tail,
};

/// The signal that kills a program which writes to a closed pipe.
const SIGPIPE: i32 = 13;

/// A running computer, and its output so far.
pub(crate) struct Conversation<'a> {
    machine: Machine,
    /// Readable once QEMU has ended.
    gone: OwnedFd,
    nest: &'a Nest,
    plan: &'a InitPlan,
    stdio: Stdio,
    began: Instant,
    console: Tail,
    messages: Tail,
    reports: Reports,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl<'a> Conversation<'a> {
    pub(crate) fn of(
        machine: Machine,
        nest: &'a Nest,
        plan: &'a InitPlan,
        stdio: Stdio,
    ) -> Result<Self> {
        let ends = [
            machine.keys.as_fd(),
            machine.console.as_fd(),
            machine.messages.as_fd(),
            machine.output.from.as_fd(),
            machine.errors.from.as_fd(),
            machine.reports.from.as_fd(),
        ];
        for end in ends {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(call("fcntl O_NONBLOCK"))?;
        }
        Ok(Self {
            gone: machine.end()?,
            machine,
            nest,
            plan,
            stdio,
            began: Instant::now(),
            console: Tail::default(),
            messages: Tail::default(),
            reports: Reports::default(),
            output: Vec::new(),
            errors: Vec::new(),
        })
    }

    /// Relays output until QEMU ends, and returns how the program ended.
    pub(crate) fn until_the_end(mut self, stop: Option<BorrowedFd<'_>>) -> Result<NestOutcome> {
        let _raw = match self.stdio {
            Stdio::Terminal => Some(TerminalMode::raw().ok_or(Error::NoTerminal)?),
            Stdio::Capture | Stdio::CaptureOutput | Stdio::Inherit => None,
        };
        let mut keys = self.stdio == Stdio::Terminal;
        loop {
            let came = self.wait(keys, stop)?;
            if came.keys {
                keys = self.type_in()?;
            }
            match self.listen() {
                Err(Error::Write { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
                    return Ok(self.outcome(Status::Signaled(SIGPIPE)));
                }
                heard => heard?,
            }
            if came.stop {
                return Err(Error::Stopped);
            }
            if came.gone {
                return self.verdict();
            }
            if let Some(after) = self.nest.deadline.filter(|after| self.began.elapsed() >= *after) {
                return Err(Error::Deadline { after });
            }
            if !self.is_up() && self.began.elapsed() >= self.nest.start_up {
                let (start_up, console) = (self.nest.start_up, self.console.lines());
                return Err(Error::NoStart { start_up, console });
            }
        }
    }

    /// Waits for input or output, or until a limit is reached.
    fn wait(&self, keys: bool, stop: Option<BorrowedFd<'_>>) -> Result<Readable> {
        let machine = &self.machine;
        let mut watched: Vec<BorrowedFd<'_>> = vec![
            self.gone.as_fd(),
            machine.console.as_fd(),
            machine.messages.as_fd(),
            machine.output.from.as_fd(),
            machine.errors.from.as_fd(),
            machine.reports.from.as_fd(),
        ];
        let input = io::stdin();
        let keys_at = keys.then(|| push(&mut watched, input.as_fd()));
        let stop_at = stop.map(|stop| push(&mut watched, stop));
        let mut watched: Vec<PollFd<'_>> =
            watched.into_iter().map(|end| PollFd::new(end, PollFlags::POLLIN)).collect();
        match poll(&mut watched, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(call("poll")(errno)),
        }
        let came = |at: usize| watched.get(at).is_some_and(|end| end.any() == Some(true));
        Ok(Readable {
            gone: came(0),
            keys: keys_at.is_some_and(came),
            stop: stop_at.is_some_and(came),
        })
    }

    /// The time until the next limit, at least a millisecond.
    fn timeout(&self) -> PollTimeout {
        let start_up = (!self.is_up()).then_some(self.nest.start_up);
        match start_up.into_iter().chain(self.nest.deadline).min() {
            Some(until) => {
                let left = until.saturating_sub(self.began.elapsed()) + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    /// Reads everything that is available.
    fn listen(&mut self) -> Result<()> {
        let (terminal, machine) = (self.stdio == Stdio::Terminal, &mut self.machine);
        while let Some(bytes) = take(&mut machine.console)? {
            self.console.add(&bytes);
            if terminal {
                write("standard output", &mut io::stdout().lock(), &bytes)?;
            }
        }
        while let Some(bytes) = take(&mut machine.messages)? {
            self.messages.add(&bytes);
        }
        while let Some(bytes) = take(&mut machine.reports.from)? {
            self.reports.add(&bytes);
        }
        while let Some(bytes) = take(&mut machine.output.from)? {
            match self.stdio {
                Stdio::Capture | Stdio::CaptureOutput => keep(&mut self.output, &bytes)?,
                _ => write("standard output", &mut io::stdout().lock(), &bytes)?,
            }
        }
        while let Some(bytes) = take(&mut machine.errors.from)? {
            match self.stdio {
                Stdio::Capture | Stdio::CaptureOutput => keep(&mut self.errors, &bytes)?,
                _ => write("standard error", &mut io::stderr().lock(), &bytes)?,
            }
        }
        Ok(())
    }

    /// Passes on what was typed; false at the end of input.
    fn type_in(&mut self) -> Result<bool> {
        /// Ctrl-D.
        const END: &[u8] = &[4];
        let mut chunk = [0; 256];
        // Not through the buffer of `stdin`, which poll does not see.
        let (bytes, more) = match nix::unistd::read(io::stdin(), &mut chunk) {
            Ok(0) | Err(Errno::EIO) => (END, false),
            Ok(count) => (&chunk[..count], true),
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(true),
            Err(errno) => return Err(call("read standard input")(errno)),
        };
        // A full line loses keys, as a real one does.
        let _ = self.machine.keys.write(bytes);
        Ok(more)
    }

    fn is_up(&self) -> bool {
        self.reports.lines().next().is_some()
    }

    /// What became of the program, now that QEMU has ended.
    fn verdict(mut self) -> Result<NestOutcome> {
        let mut status = None;
        for report in self.reports.lines() {
            match report {
                Report::Ready => {}
                Report::Exited(code) => status = Some(Status::Exited(code)),
                Report::Signaled(signal) => status = Some(Status::Signaled(signal.into())),
                Report::Failed { step, errno } => {
                    let step = self.plan.step(step).unwrap_or("read the plan").to_owned();
                    return Err(Error::Step { step, source: io::Error::from_raw_os_error(errno) });
                }
            }
        }
        let mut messages = self.messages.lines();
        if let Some(signal) = self.machine.killed_by()? {
            messages.push(format!("killed by signal {signal}"));
        }
        match status {
            Some(status) => Ok(self.outcome(status)),
            None if !messages.is_empty() => Err(Error::Qemu { messages: messages.join("; ") }),
            None => Err(Error::Crashed { console: self.console.lines() }),
        }
    }

    fn outcome(self, status: Status) -> NestOutcome {
        NestOutcome { status, output: self.output, errors: self.errors }
    }
}

/// Which descriptors are readable.
struct Readable {
    gone: bool,
    keys: bool,
    stop: bool,
}

/// Adds to a list and says where.
fn push<T>(list: &mut Vec<T>, item: T) -> usize {
    list.push(item);
    list.len() - 1
}

/// Keeps what has come, up to a bound.
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let limit = Capture::LIMIT;
    match kept.len() + bytes.len() > limit {
        true => Err(Error::TooMuchOutput { limit }),
        false => {
            kept.extend_from_slice(bytes);
            Ok(())
        }
    }
}

/// What can be read without waiting, if there is any.
fn take(from: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut chunk = vec![0; 16 << 10];
    match from.read(&mut chunk) {
        Ok(0) => Ok(None),
        Ok(count) => {
            chunk.truncate(count);
            Ok(Some(chunk))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(call("read a pipe of QEMU")(error)),
    }
}

fn write(name: &str, to: &mut impl io::Write, bytes: &[u8]) -> Result<()> {
    let written = to.write_all(bytes).and_then(|()| to.flush());
    written.map_err(|source| Error::Write { path: name.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut kept = Vec::new();
        keep(&mut kept, &vec![b'x'; Capture::LIMIT]).unwrap();
        let refused = keep(&mut kept, b"x").unwrap_err();
        assert!(matches!(refused, Error::TooMuchOutput { .. }), "{refused}");
        assert_eq!(kept.len(), Capture::LIMIT);
    }
}
