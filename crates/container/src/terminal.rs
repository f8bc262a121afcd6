//! A pseudo-terminal between the launcher's terminal and the container.
//!
//! It is made inside where the container has a devpts of its own: see [`inside`]. Elsewhere the host
//! makes the pair: the launcher keeps the master, the program gets the slave as its controlling
//! terminal, and finds it as `/dev/console`. While they are connected, the
//! launcher's own terminal is raw, so that every key goes through, Ctrl-C too; it is restored
//! whatever happens, because a guard does it.

pub(crate) mod inside;
mod pump;

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::PathBuf,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
};

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
        let terminal = Self::of(master)?;
        terminal.copy_size(&mut None);
        Ok((terminal, slave, path))
    }

    fn of(master: File) -> Result<Self, Error> {
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(call("fcntl O_NONBLOCK"))?;
        Ok(Self { master })
    }

    /// Gives the window of the launcher's terminal to the container's when it has changed; the
    /// kernel sends SIGWINCH to the processes in front there.
    fn copy_size(&self, known: &mut Option<[u16; 4]>) {
        let size = window();
        if let Some(size) = size.filter(|_| size != *known) {
            // SAFETY: `size` is laid out as a winsize, which is four u16.
            unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, size.as_ptr()) };
            *known = Some(size);
        }
    }
}

/// The window of the launcher's terminal, if it has one.
fn window() -> Option<[u16; 4]> {
    let mut size = [0u16; 4];
    // SAFETY: `size` is laid out as a winsize, which is four u16.
    let got = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, size.as_mut_ptr()) };
    (got == 0).then_some(size)
}
