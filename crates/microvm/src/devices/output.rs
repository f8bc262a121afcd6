//! Where a guest's output goes: the host's end of every console.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::write,
};
use sandbox::{Capture, Milestone, Stdio};

use crate::{
    control::Handle,
    error::{Error, Result},
    exits::End,
};

/// What becomes of a guest's output.
#[derive(Debug)]
pub enum Output {
    /// It is kept.
    Captured(Vec<u8>),
    /// It goes to the launcher's own standard output.
    Standard,
    /// It goes to the launcher's own standard error.
    Errors,
}

impl Output {
    /// Standard output, as `stdio` says.
    pub fn of(stdio: Stdio) -> Self {
        match stdio {
            Stdio::Capture => Self::Captured(Vec::new()),
            Stdio::Inherit | Stdio::Terminal => Self::Standard,
        }
    }

    /// What was captured.
    pub fn into_captured(self) -> Vec<u8> {
        match self {
            Self::Captured(text) => text,
            Self::Standard | Self::Errors => Vec::new(),
        }
    }

    /// Takes `text`, at once and without a buffer in between; `Some` if the guest ends with that.
    ///
    /// # Errors
    ///
    /// When the launcher's own output cannot be written.
    pub fn write(&mut self, text: &[u8], handle: &Handle) -> Result<Option<End>> {
        match self {
            Self::Captured(captured) => {
                handle.reach(Milestone::FirstByte);
                if captured.len() + text.len() > Capture::LIMIT {
                    return Ok(Some(End::TooMuchOutput));
                }
                captured.extend_from_slice(text);
                Ok(None)
            }
            Self::Standard => write_through(io::stdout().as_fd(), text, handle),
            Self::Errors => write_through(io::stderr().as_fd(), text, handle),
        }
    }
}

fn write_through(output: BorrowedFd<'_>, mut text: &[u8], handle: &Handle) -> Result<Option<End>> {
    while !text.is_empty() {
        match write(output, text) {
            Ok(count) => text = &text[count..],
            // Only an end interrupts for good; the run loop finds it.
            Err(Errno::EINTR) if handle.has_ended() && !handle.is_frozen() => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut ready = [PollFd::new(output, PollFlags::POLLOUT)];
                // An interruption leads back to `write`, and from there to the arms above.
                let _ = poll(&mut ready, PollTimeout::from(100u8));
                if handle.has_ended() && !handle.is_frozen() {
                    return Ok(None);
                }
            }
            // Nobody reads any more: a process would be killed by SIGPIPE now.
            Err(Errno::EPIPE) => return Ok(Some(End::Signaled(libc::SIGPIPE))),
            Err(errno) => {
                let call = "write the guest's output";
                return Err(Error::System { call: call.into(), source: errno.into() });
            }
        }
    }
    Ok(None)
}
