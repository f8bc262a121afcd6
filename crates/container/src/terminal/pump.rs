//! Keys in, output out: every byte, in order, and never more than two chunks of them in memory.
//!
//! Nothing is read before the previous chunk has been written. So a slow reader slows down the
//! program, as a real terminal does, and a paste of any size waits until the program reads it; the
//! other direction continues meanwhile.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use host::TerminalMode;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{read, write},
};
use sandbox::{Milestone, Timeline, monotonic_now};

use super::Terminal;
use crate::{Error, error::call};

/// How much can be written to a writable pipe without blocking (pipe(7), `PIPE_BUF`).
const CHUNK: usize = 4096;
/// How often the window size is checked: SIGWINCH is left to the program that uses this library.
const LOOK: Duration = Duration::from_millis(250);

/// Bytes that were read and not written yet.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    written: usize,
}

/// The result of a read.
#[derive(PartialEq, Eq)]
enum Read {
    Some,
    NothingNow,
    EndOfFile,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Reads, if everything has been written.
    fn fill(&mut self, from: impl AsFd) -> nix::Result<Read> {
        if !self.is_empty() {
            return Ok(Read::Some);
        }
        self.bytes.resize(CHUNK, 0);
        self.written = 0;
        let read = read(from, &mut self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            // EIO: the last slave of a terminal is closed, or the terminal is gone.
            Ok(0) | Err(Errno::EIO) => Ok(Read::EndOfFile),
            Ok(_) => Ok(Read::Some),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Read::NothingNow),
            Err(errno) => Err(errno),
        }
    }

    /// Writes what can be written now.
    fn drain(&mut self, to: impl AsFd) -> nix::Result<()> {
        match write(to, &self.bytes[self.written..]) {
            Ok(count) => self.written += count,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }
}

/// Descriptors to poll, by their indices.
#[derive(Default)]
struct Watched<'a>(Vec<PollFd<'a>>);

impl<'a> Watched<'a> {
    /// A descriptor that is not `wanted` now has no index.
    fn add(&mut self, wanted: bool, end: BorrowedFd<'a>, flags: PollFlags) -> Option<usize> {
        wanted.then(|| {
            self.0.push(PollFd::new(end, flags));
            self.0.len() - 1
        })
    }

    fn is_ready(&self, place: Option<usize>) -> bool {
        place.and_then(|place| self.0.get(place)?.any()) == Some(true)
    }
}

impl Terminal {
    /// Passes keys in and output out until the process of `pidfd` has ended and all its output has
    /// been written; false if the deadline passed first.
    pub(crate) fn until_exit(
        &mut self,
        pidfd: BorrowedFd<'_>,
        deadline: Option<Duration>,
        timeline: &mut Timeline,
    ) -> Result<bool, Error> {
        let _raw = TerminalMode::raw();
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let (mut size, mut keys, mut output) = (None, Chunk::default(), Chunk::default());
        let (mut types, mut exited, mut silent) = (true, false, false);
        loop {
            self.copy_size(&mut size);
            let left = deadline
                .map(|deadline| (timeline.started_at() + deadline).saturating_sub(monotonic_now()));
            let patience = left.unwrap_or(Duration::MAX).min(LOOK).as_millis() + 1;
            let mut watched = Watched::default();
            let (read, write) = (PollFlags::POLLIN, PollFlags::POLLOUT);
            let master = self.master.as_fd();
            let ended = watched.add(!exited, pidfd, read);
            let shown = watched.add(!output.is_empty(), stdout.as_fd(), write);
            let said = watched.add(output.is_empty() && !silent, master, read);
            let room = watched.add(!keys.is_empty(), master, write);
            let typed = watched.add(keys.is_empty() && types, stdin.as_fd(), read);
            match poll(&mut watched.0, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX))
            {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(call("poll")(errno)),
            }
            let ready = |place| watched.is_ready(place);
            exited |= ready(ended);
            if ready(shown) {
                let written = output.drain(&stdout).map_err(io::Error::from);
                written.map_err(crate::error::file("write", "standard output"))?;
            }
            if ready(room) && keys.drain(master).is_err() {
                keys = Chunk::default(); // nobody can read them any more
            }
            if ready(typed)
                && keys.fill(&stdin).map_err(call("read standard input"))? == Read::EndOfFile
            {
                // End of the launcher's input: the program gets Ctrl-D.
                (types, keys) = (false, Chunk { bytes: vec![4], written: 0 });
            }
            // When all slaves are closed, one may be opened again: this is checked now and then.
            if ready(said) || exited || silent {
                let read = output.fill(master).map_err(call("read the pseudo-terminal"))?;
                silent = read == Read::EndOfFile;
                match read {
                    Read::Some => timeline.reach(Milestone::FirstByte),
                    Read::NothingNow | Read::EndOfFile if exited => {
                        timeline.reach(Milestone::Exited);
                        return Ok(true);
                    }
                    Read::NothingNow | Read::EndOfFile => {}
                }
            }
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
        }
    }
}
