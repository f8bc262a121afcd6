//! A command that is watched while it runs: what it writes and when, and whether it has ended.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    process::Child,
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

/// What has been read of one stream, and when.
#[derive(Debug, Default)]
pub struct Stream {
    /// The beginning of it.
    pub bytes: Vec<u8>,
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
    pub fn first_byte(&self, expected: Expected) -> Option<Duration> {
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
pub struct WatchedCommand {
    /// Its process.
    pub child: Child,
    began: Instant,
    /// What it has written to standard output.
    pub output: Stream,
    /// What it has written to standard error.
    pub errors: Stream,
}

impl WatchedCommand {
    /// Watches a command whose output and errors are pipes.
    pub fn of(child: Child, began: Instant) -> Self {
        Self { child, began, output: Stream::default(), errors: Stream::default() }
    }

    /// Reads until the command has ended; whether it did by the deadline, which is counted from its start.
    pub fn until_end(&mut self, deadline: Duration) -> io::Result<bool> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let end = pidfd_open(pid, PidfdFlags::empty())?;
        loop {
            let left = deadline.saturating_sub(self.began.elapsed());
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
    pub fn drain(&mut self) -> io::Result<()> {
        loop {
            let [output, errors, _] = self.poll(None, Duration::ZERO)?;
            if !output && !errors {
                return Ok(());
            }
            self.take(output, errors)?;
        }
    }

    /// Reads what can be read of its output and of its errors.
    pub fn take(&mut self, output: bool, errors: bool) -> io::Result<()> {
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
    pub fn poll(
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
    pub fn kill(&mut self) {
        for pid in process_tree(self.child.id()).into_iter().rev() {
            // It may have ended just now.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for WatchedCommand {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}
