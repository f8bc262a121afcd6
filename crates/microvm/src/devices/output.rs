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
    guest_exit::GuestExit,
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
            Stdio::Capture | Stdio::CaptureOutput => Self::Captured(Vec::new()),
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
    pub fn write(&mut self, text: &[u8], handle: &Handle) -> Result<Option<GuestExit>> {
        match self {
            Self::Captured(captured) => {
                handle.reach(Milestone::FirstByte);
                if captured.len() + text.len() > Capture::LIMIT {
                    return Ok(Some(GuestExit::TooMuchOutput));
                }
                captured.extend_from_slice(text);
                Ok(None)
            }
            Self::Standard => write_through(io::stdout().as_fd(), text, handle),
            Self::Errors => write_through(io::stderr().as_fd(), text, handle),
        }
    }
}

fn write_through(
    output: BorrowedFd<'_>,
    mut text: &[u8],
    handle: &Handle,
) -> Result<Option<GuestExit>> {
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
            Err(Errno::EPIPE) => return Ok(Some(GuestExit::Signaled(libc::SIGPIPE))),
            Err(errno) => {
                let call = "write the guest's output";
                return Err(Error::System { call: call.into(), source: errno.into() });
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, sync::Arc, thread, time::Duration};

    use nix::unistd::pipe;
    use sandbox::{Control as _, Timeline};

    use super::*;

    const TEXT: usize = 1 << 20;

    /// A thread that passes more on than the pipe takes, and gives how it went; and the pipe's end.
    fn passing_on(handle: &Arc<Handle>) -> (thread::JoinHandle<Result<Option<GuestExit>>>, File) {
        let (reader, writer) = pipe().unwrap();
        let handle = handle.clone();
        let thread = thread::spawn(move || {
            handle.begin(None);
            let written = write_through(writer.as_fd(), &vec![b'x'; TEXT], &handle);
            handle.end();
            written
        });
        (thread, reader.into())
    }

    #[test]
    fn a_reader_that_does_not_read_cannot_hold_up_an_end_that_is_demanded() {
        let handle = Arc::new(Handle::new(Timeline::start(), None));
        let (thread, _reader) = passing_on(&handle);
        thread::sleep(Duration::from_millis(20));
        // As the one who waits for the guest does, until its threads have ended.
        for _ in 0..1000 {
            handle.signal(libc::SIGTERM);
            if thread.is_finished() {
                return assert!(matches!(thread.join().unwrap(), Ok(None)));
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the thread still waits for its reader");
    }

    #[test]
    fn what_a_guest_wrote_before_it_ended_by_itself_waits_for_a_slow_reader() {
        let handle = Arc::new(Handle::new(Timeline::start(), None));
        let (thread, mut reader) = passing_on(&handle);
        handle.give(GuestExit::Exited(0));
        thread::sleep(Duration::from_millis(20));
        handle.give(GuestExit::Exited(0));
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), TEXT);
        assert!(matches!(thread.join().unwrap(), Ok(None)));
    }
}
