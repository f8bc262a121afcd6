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

    /// Reads until the process of `pidfd` has ended and its output has been read, and hands all of it to
    /// `take` instead of keeping it: both streams in the order in which they are read, and nothing now
    /// and then, for a caller that has to look at something else. Returns whether the process has ended;
    /// otherwise `take` has said false.
    ///
    /// # Errors
    ///
    /// Those of `poll(2)` and `read(2)`.
    pub fn pass_on(
        &mut self,
        pidfd: BorrowedFd<'_>,
        timeline: &mut Timeline,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<bool> {
        /// Milliseconds without output after which `take` is called.
        const SILENCE: u16 = 500;
        let mut piece = vec![0; CHUNK];
        loop {
            let mut watched = vec![PollFd::new(pidfd, PollFlags::POLLIN)];
            for pipe in self.pipes.iter().flatten() {
                watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut watched, PollTimeout::from(SILENCE)) {
                Err(nix::errno::Errno::EINTR) => continue,
                Ok(0) if !take(&[]) => return Ok(false),
                ready => ready?,
            };
            let now = monotonic_now();
            let exited = watched[0].any() == Some(true);
            for stream in 0..2 {
                loop {
                    let length = self.read_piece(stream, &mut piece)?;
                    if length == 0 {
                        break;
                    }
                    timeline.reach_at(Milestone::FirstByte, now);
                    if !take(&piece[..length]) {
                        return Ok(false);
                    }
                    // A process that writes without end must not keep this from seeing the other
                    // stream; when it has ended, no more than a pipe's capacity is left.
                    if !exited {
                        break;
                    }
                }
            }
            if exited {
                timeline.reach_at(Milestone::Exited, now);
                return Ok(true);
            }
        }
    }

    /// Reads what is available, up to a piece; 0 if there is nothing now, or at the end.
    fn read_piece(&mut self, stream: usize, piece: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipes[stream] else { return Ok(0) };
        loop {
            match pipe.read(piece) {
                Ok(0) => self.pipes[stream] = None,
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            return Ok(0);
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

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use nix::unistd::pipe;

    use super::*;

    fn passed_on(script: &str, take: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let ((output, out), (errors, err)) = (pipe().unwrap(), pipe().unwrap());
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child = command.spawn().unwrap();
        drop(command); // its ends of the pipes
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let mut capture = Capture::of(output, errors).unwrap();
        let ended = capture.pass_on(pidfd.as_fd(), &mut Timeline::start(), take).unwrap();
        let _ = child.kill();
        child.wait().unwrap();
        ended
    }

    #[test]
    fn all_output_is_passed_on_however_much_it_is() {
        let mut bytes = 0;
        let ended = passed_on("head -c 40000000 /dev/zero; printf end >&2", &mut |piece| {
            bytes += piece.len();
            true
        });
        assert!(ended);
        assert_eq!(bytes, 40_000_003);
    }

    #[test]
    fn who_takes_no_more_ends_the_reading() {
        assert!(!passed_on("while :; do echo more; done", &mut |_| false));
        assert!(!passed_on("sleep 60", &mut |piece| !piece.is_empty()));
    }
}
