//! A whole command of this host, from its start to its first byte and to its end, with a deadline.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use host::process_tree;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{PidfdFlags, pidfd_open},
};

use crate::{Error, error::words};

/// How long a command took.
#[derive(Debug, Clone, Copy)]
pub struct CommandTime {
    /// From before the start to when the first byte of the expected output could be read.
    pub first_byte: Duration,
    /// From before the start to when the command had been waited for.
    pub exited: Duration,
}

/// What a command is to write to its standard output.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// These bytes and no others.
    Exactly(&'static [u8]),
    /// These bytes among others: the console of a machine shows what its kernel writes as well.
    Among(&'static [u8]),
}

/// More output than this is not kept: no command that is measured writes as much.
const MOST: usize = 64 << 10;

/// Runs `command`, called `name` in errors, to its end.
///
/// # Errors
///
/// When it cannot be started, has not ended by the deadline (then it is killed, with all that
/// descends from it), fails, or writes something else than what is expected.
pub fn command_time(
    name: &str,
    command: &mut Command,
    expected: Expected,
    deadline: Duration,
) -> Result<CommandTime, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let child = command.spawn()?;
    let mut watched = Watched::of(child, began);
    if !watched.until_end(began, deadline)? {
        watched.kill();
        let errors = words(&watched.errors.bytes);
        let errors = if errors.is_empty() { errors } else { format!(": {errors}") };
        return Err(Error::new(format!("{name} had not ended after {deadline:?}{errors}")));
    }
    let status = watched.child.wait()?;
    let exited = began.elapsed();
    watched.drain()?;
    let Watched { output, errors, .. } = &watched;
    if !status.success() {
        let said = if errors.bytes.is_empty() { &output.bytes } else { &errors.bytes };
        return Err(Error::of_command(name, status, said));
    }
    let first_byte = output.first_byte(expected).ok_or_else(|| {
        let (text, errors) = (words(&output.bytes), words(&errors.bytes));
        Error::new(format!("{name} wrote something else than the program: {text:?} {errors}"))
    })?;
    Ok(CommandTime { first_byte, exited })
}

/// A command that has written what was expected and runs on. It is killed with this, with all that
/// descends from it.
#[derive(Debug)]
pub struct RunningCommand {
    watched: Watched,
}

impl RunningCommand {
    /// Starts `command`, called `name` in errors, and waits for the expected output.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends before, or has not written that by the deadline.
    pub fn start(
        name: &str,
        command: &mut Command,
        expected: Expected,
        deadline: Duration,
    ) -> Result<Self, Error> {
        // Its standard input stays open: some programs idle until its end.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut watched = Watched::of(command.spawn()?, began);
        loop {
            if watched.output.first_byte(expected).is_some() {
                return Ok(Self { watched });
            }
            let left = deadline.saturating_sub(began.elapsed());
            if left.is_zero() {
                let said = words(&watched.errors.bytes);
                let text = format!("{name} had written nothing after {deadline:?}: {said}");
                return Err(Error::new(text));
            }
            if let Some(status) = watched.child.try_wait()? {
                watched.drain()?;
                return Err(Error::of_command(name, status, &watched.errors.bytes));
            }
            let [output, errors, _] = watched.poll(None, left.min(Duration::from_millis(50)))?;
            watched.take(output, errors)?;
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.watched.child.id()
    }
}

/// What has been read of one stream, and when.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    /// For each read the length until then and its moment.
    reads: Vec<(usize, Duration)>,
    is_over: bool,
}

impl Stream {
    fn read(&mut self, from: &mut impl Read, began: Instant) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            read => read?,
        };
        let moment = began.elapsed();
        self.is_over = count == 0;
        if count > 0 && self.bytes.len() < MOST {
            self.bytes.extend_from_slice(&buffer[..count]);
            self.reads.push((self.bytes.len(), moment));
        }
        Ok(())
    }

    /// When the first byte of what is expected had come; `None` if something else came.
    fn first_byte(&self, expected: Expected) -> Option<Duration> {
        let at = match expected {
            Expected::Exactly(text) => (self.bytes == text).then_some(0)?,
            Expected::Among(text) => {
                self.bytes.windows(text.len().max(1)).position(|window| window == text)?
            }
        };
        self.reads.iter().find(|(length, _)| *length > at).map(|(_, moment)| *moment)
    }
}

/// A command that runs.
#[derive(Debug)]
struct Watched {
    child: Child,
    began: Instant,
    output: Stream,
    errors: Stream,
}

impl Watched {
    fn of(child: Child, began: Instant) -> Self {
        Self { child, began, output: Stream::default(), errors: Stream::default() }
    }

    /// Reads until the command has ended; whether it did by the deadline.
    fn until_end(&mut self, began: Instant, deadline: Duration) -> io::Result<bool> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let end = pidfd_open(pid, PidfdFlags::empty())?;
        loop {
            let left = deadline.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let [output, errors, ended] = self.poll(Some(end.as_fd()), left)?;
            self.take(output, errors)?;
            if ended && !output && !errors {
                return Ok(true);
            }
        }
    }

    /// Reads what a command left in its pipes, and waits for no more: what it started may hold them.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            let [output, errors, _] = self.poll(None, Duration::ZERO)?;
            if !output && !errors {
                return Ok(());
            }
            self.take(output, errors)?;
        }
    }

    fn take(&mut self, output: bool, errors: bool) -> io::Result<()> {
        let piped = "it was asked for";
        if output {
            self.output.read(self.child.stdout.as_mut().expect(piped), self.began)?;
        }
        if errors {
            self.errors.read(self.child.stderr.as_mut().expect(piped), self.began)?;
        }
        Ok(())
    }

    /// Which of output, errors and `end` can be read, after at most `time`.
    fn poll(
        &self,
        end: Option<rustix::fd::BorrowedFd<'_>>,
        time: Duration,
    ) -> io::Result<[bool; 3]> {
        let piped = "it was asked for";
        let output = self.child.stdout.as_ref().expect(piped).as_fd();
        let errors = self.child.stderr.as_ref().expect(piped).as_fd();
        let streams = [(output, !self.output.is_over), (errors, !self.errors.is_over)];
        let asked = streams.into_iter().chain(end.map(|end| (end, true)));
        let asked: Vec<_> = asked.enumerate().filter(|(_, (_, is_open))| *is_open).collect();
        let mut polled: Vec<_> =
            asked.iter().map(|(_, (fd, _))| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = [false; 3];
        for ((number, _), polled) in asked.iter().zip(&polled) {
            ready[*number] = !polled.revents().is_empty();
        }
        Ok(ready)
    }

    /// Kills the command and all that descends from it.
    fn kill(&mut self) {
        for pid in process_tree(self.child.id()).into_iter().rev() {
            // It may have ended just now.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(script: &str, expected: Expected) -> Result<CommandTime, Error> {
        let deadline = Duration::from_millis(700);
        command_time("it", Command::new("/bin/sh").args(["-c", script]), expected, deadline)
    }

    const HELLO: Expected = Expected::Exactly(b"hello\n");

    #[test]
    fn the_first_byte_is_that_of_what_is_expected() {
        let time = timed("sleep 0.1; echo hello; sleep 0.1", HELLO).unwrap();
        assert!(time.first_byte >= Duration::from_millis(100), "{time:?}");
        assert!(time.exited >= time.first_byte + Duration::from_millis(90), "{time:?}");
        let console = "echo booting; sleep 0.1; echo hello; sleep 0.1; echo over";
        let time = timed(console, Expected::Among(b"hello")).unwrap();
        assert!(time.first_byte >= Duration::from_millis(100), "{time:?}");
        assert!(timed(console, HELLO).unwrap_err().reason.contains("booting hello over"));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_what_it_started() {
        let began = Instant::now();
        let error = timed("sleep 47.1 & echo waits >&2; wait", HELLO).unwrap_err();
        assert!(
            error.reason.contains("had not ended") && error.reason.ends_with("waits"),
            "{error}"
        );
        assert!(began.elapsed() < Duration::from_secs(10));
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
        assert!(!all.filter_map(line).any(|line| line == b"sleep\x0047.1\0"), "it still runs");
    }

    #[test]
    fn rubbish_without_end_is_not_kept() {
        let error = timed("yes rubbish", HELLO).unwrap_err();
        assert!(error.reason.contains("had not ended"), "{error}");
    }

    #[test]
    fn a_command_that_fails_is_an_error_in_its_own_words() {
        let error = timed("echo hello; echo 'no such thing' >&2; exit 3", HELLO).unwrap_err();
        assert!(error.reason.contains('3') && error.reason.ends_with("no such thing"), "{error}");
    }

    #[test]
    fn a_process_that_keeps_the_pipe_does_not_keep_the_measurement() {
        let time = timed("echo hello; sleep 3 & exit 0", HELLO).unwrap();
        assert!(time.exited < Duration::from_millis(600), "{time:?}");
    }
}
