//! A pseudo-terminal between the launcher's terminal and the container.
//!
//! If the container has a devpts of its own, it is made inside: see [`inside`]. Otherwise the host
//! makes the pair: the launcher keeps the master, and the program gets the slave as its controlling
//! terminal and as `/dev/console`. Meanwhile the launcher's own terminal is in raw mode, so that
//! every key is passed on, Ctrl-C too; a guard restores it in all cases.

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
        // TIOCGPTPEER opens the slave of this very master, regardless of its path. SAFETY: the
        // request takes flags and returns a new descriptor or -1.
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

    /// The master itself.
    pub(crate) fn into_master(self) -> OwnedFd {
        self.master.into()
    }

    fn of(master: File) -> Result<Self, Error> {
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(call("fcntl O_NONBLOCK"))?;
        Ok(Self { master })
    }

    /// Copies the window size of the launcher's terminal to the container's if it has changed; the
    /// kernel sends SIGWINCH to the foreground processes there.
    fn copy_size(&self, known: &mut Option<[u16; 4]>) {
        let size = window();
        if let Some(size) = size.filter(|_| size != *known) {
            // SAFETY: `size` is laid out as a winsize, which is four u16.
            unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, size.as_ptr()) };
            *known = Some(size);
        }
    }
}

/// The window size of the launcher's terminal, if it has one.
fn window() -> Option<[u16; 4]> {
    let mut size = [0u16; 4];
    // SAFETY: `size` is laid out as a winsize, which is four u16.
    let got = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, size.as_mut_ptr()) };
    (got == 0).then_some(size)
}
