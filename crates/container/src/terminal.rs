//! A pseudo-terminal between the launcher's terminal and the container.
//!
//! The host makes the pair: the launcher keeps the master, the container's program gets the slave
//! as its controlling terminal, and finds it as `/dev/console`. While they are connected, the
//! launcher's own terminal is raw, so that every key goes through, Ctrl-C too; it is restored
//! whatever happens, because a guard does it.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
};
use sandbox::{Milestone, RawTerminal, Timeline, monotonic_now};

use crate::{Error, error::call};

/// The master's side.
#[derive(Debug)]
pub(crate) struct Terminal {
    master: File,
}

impl Terminal {
    /// A new pair: the master's side, the slave, and the slave's path.
    pub(crate) fn open() -> Result<(Self, OwnedFd, PathBuf), Error> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master: PtyMaster = posix_openpt(flags).map_err(call("open /dev/ptmx"))?;
        grantpt(&master).map_err(call("grantpt"))?;
        unlockpt(&master).map_err(call("unlockpt"))?;
        let path = PathBuf::from(ptsname_r(&master).map_err(call("ptsname"))?);
        // TIOCGPTPEER opens the slave of this very master, whatever is at its path.
        // SAFETY: the request takes flags and returns a new descriptor or -1.
        let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags.bits()) };
        let slave = Errno::result(slave).map_err(call("ioctl TIOCGPTPEER"))?;
        // SAFETY: the call has just made this descriptor.
        let slave = unsafe { OwnedFd::from_raw_fd(slave) };
        let master = master.as_fd().try_clone_to_owned();
        let master = File::from(master.map_err(crate::error::file("duplicate", "ptmx"))?);
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(call("fcntl O_NONBLOCK"))?;
        let terminal = Self { master };
        terminal.copy_size(&mut None);
        Ok((terminal, slave, path))
    }

    /// Passes keys in and output out until the process behind `pidfd` has ended; false when
    /// the deadline passed before.
    pub(crate) fn until_exit(
        &mut self,
        pidfd: BorrowedFd<'_>,
        deadline: Option<Duration>,
        timeline: &mut Timeline,
    ) -> Result<bool, Error> {
        let _raw = RawTerminal::set();
        let mut size = None;
        let mut keys = Some(std::io::stdin());
        loop {
            self.copy_size(&mut size);
            // Four times a second the window is looked at: SIGWINCH belongs to the program that
            // uses this library.
            let left = deadline
                .map(|deadline| (timeline.started_at() + deadline).saturating_sub(monotonic_now()));
            let patience = left.unwrap_or(Duration::MAX).min(Duration::from_millis(250));
            let timeout =
                PollTimeout::try_from(patience.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            let mut watched = vec![
                PollFd::new(pidfd, PollFlags::POLLIN),
                PollFd::new(self.master.as_fd(), PollFlags::POLLIN),
            ];
            if let Some(keys) = &keys {
                watched.push(PollFd::new(keys.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut watched, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(call("poll")(errno)),
            }
            let ready = |index: usize| {
                let events: Option<&PollFd<'_>> = watched.get(index);
                events.is_some_and(|watched| watched.any() == Some(true))
            };
            let (exited, typed) = (ready(0), ready(2));
            drop(watched);
            if self.show(timeline)? && exited {
                timeline.reach(Milestone::Exited);
                return Ok(true);
            }
            if typed && !self.type_in()? {
                // End of the launcher's input, of a pipe say: the program sees Ctrl-D.
                let _ = self.master.write(&[4]);
                keys = None;
            }
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
        }
    }

    /// Writes out what there is; true when there is no more for now.
    fn show(&mut self, timeline: &mut Timeline) -> Result<bool, Error> {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.master.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    timeline.reach(Milestone::FirstByte);
                    let mut output = std::io::stdout().lock();
                    let written = output.write_all(&chunk[..count]).and_then(|()| output.flush());
                    written.map_err(crate::error::file("write", "standard output"))?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // EIO: the last slave is closed.
                Err(_) => return Ok(true),
            }
        }
    }

    /// Passes on what was typed; false at the end of input.
    fn type_in(&mut self) -> Result<bool, Error> {
        let mut chunk = [0; 4096];
        // Not through the buffer of `stdin`, which poll does not see.
        let count = match nix::unistd::read(std::io::stdin(), &mut chunk) {
            Ok(0) | Err(Errno::EIO) => return Ok(false),
            Ok(count) => count,
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(true),
            Err(errno) => return Err(call("read standard input")(errno)),
        };
        // A full terminal loses keys, as a real one does.
        let _ = self.master.write(&chunk[..count]);
        Ok(true)
    }

    /// Gives the window of the launcher's terminal to the container's when it has changed; the
    /// kernel sends SIGWINCH to the processes in front there.
    fn copy_size(&self, known: &mut Option<[u16; 4]>) {
        let mut size = [0u16; 4];
        // SAFETY: `size` is laid out as a winsize, which is four u16.
        let got = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, size.as_mut_ptr()) };
        if got == 0 && *known != Some(size) {
            // SAFETY: as above.
            unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, size.as_ptr()) };
            *known = Some(size);
        }
    }
}
