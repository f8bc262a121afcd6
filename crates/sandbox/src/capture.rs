//! Waits for a process while capturing its output.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{Milestone, Timeline, Written, monotonic_now};

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureOutcome {
    /// The process has ended; it still has to be reaped.
    Exited,
    /// The deadline has passed and the process still runs.
    Deadline,
    /// It wrote more than [`Capture::LIMIT`] and still runs.
    TooMuchOutput,
}

/// The number of bytes read at once: the capacity of a pipe (pipe(7)).
const CHUNK: usize = 64 << 10;

/// The two output streams of a process, being read.
#[derive(Debug, Default)]
pub struct Capture {
    pipes: [Option<File>; 2],
    texts: [Vec<u8>; 2],
}

impl Capture {
    /// At most this many bytes of each stream are kept: 16 MiB.
    pub const LIMIT: usize = 16 << 20;

    /// Reads from these ends of the pipes of standard output and standard error.
    ///
    /// # Errors
    ///
    /// When a pipe cannot be made non-blocking.
    pub fn of(output: OwnedFd, errors: OwnedFd) -> io::Result<Self> {
        for pipe in [&output, &errors] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { pipes: [Some(output.into()), Some(errors.into())], ..Self::default() })
    }

    /// Reads until the process of `pidfd` has ended and its output has been read. A descendant that
    /// keeps the pipes open does not delay this.
    ///
    /// # Errors
    ///
    /// Those of `poll(2)` and `read(2)`.
    pub fn until_exit(
        &mut self,
        pidfd: BorrowedFd<'_>,
        deadline: Option<Duration>,
        timeline: &mut Timeline,
    ) -> io::Result<CaptureOutcome> {
        loop {
            let left = deadline.map(|limit| {
                let patience =
                    limit.checked_sub(monotonic_now().saturating_sub(timeline.started_at()));
                patience.unwrap_or_default()
            });
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
            });
            let mut watched = vec![PollFd::new(pidfd, PollFlags::POLLIN)];
            for pipe in self.pipes.iter().flatten() {
                watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut watched, timeout) {
                Err(nix::errno::Errno::EINTR) => continue,
                ready => ready?,
            };
            // Events seen together get the same instant: a first byte is never after the end.
            let seen = monotonic_now();
            let exited = watched[0].any() == Some(true);
            for stream in 0..2 {
                if !self.read_ready(stream, seen, timeline)? {
                    return Ok(CaptureOutcome::TooMuchOutput);
                }
            }
            if exited {
                timeline.reach_at(Milestone::Exited, seen);
                return Ok(CaptureOutcome::Exited);
            }
            if left == Some(Duration::ZERO) {
                return Ok(CaptureOutcome::Deadline);
            }
        }
    }

    /// Reads what is available; false if it exceeds the limit.
    fn read_ready(
        &mut self,
        stream: usize,
        seen: Duration,
        timeline: &mut Timeline,
    ) -> io::Result<bool> {
        let text = &mut self.texts[stream];
        while let Some(pipe) = &mut self.pipes[stream] {
            let before = text.len();
            let end = pipe.take(CHUNK as u64).read_to_end(text);
            if stream == 0 && text.len() > before {
                timeline.reach_at(Milestone::FirstByte, seen);
            }
            if text.len() > Self::LIMIT {
                return Ok(false);
            }
            match end {
                Ok(CHUNK) => {}
                Ok(_) => self.pipes[stream] = None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What was written so far.
    pub fn into_written(self) -> Written {
        let [output, errors] = self.texts;
        Written { output, errors }
    }
}
