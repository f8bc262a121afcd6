//! The terminal: raw mode, its size, and pairs of pseudo-terminals.

use std::os::fd::{AsFd, OwnedFd};

use nix::{
    pty::{OpenptyResult, openpty},
    sys::termios::{LocalFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr},
};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

/// Another mode of the launcher's terminal. Dropping this restores the previous one.
#[derive(Debug)]
pub struct TerminalMode {
    before: Termios,
}

impl TerminalMode {
    /// Makes standard input raw: every key is passed on, Ctrl-C too. `None` when it is not a
    /// terminal.
    pub fn raw() -> Option<Self> {
        Self::change(cfmakeraw)
    }

    /// Shows nothing of what is typed, for a password. `None` when standard input is not a terminal.
    pub fn without_echo() -> Option<Self> {
        Self::change(|mode| mode.local_flags.remove(LocalFlags::ECHO))
    }

    fn change(change: impl FnOnce(&mut Termios)) -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut mode = before.clone();
        change(&mut mode);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &mode).ok()?;
        Some(Self { before })
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        // It fails only if the terminal is gone.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// Rows and columns of the launcher's terminal; those of a VT100 if they are unknown.
pub fn terminal_size() -> (u16, u16) {
    size_of(std::io::stdin()).unwrap_or((24, 80))
}

/// Rows and columns of a terminal; `None` for what is none, or does not know them.
pub fn size_of(terminal: impl AsFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// A new pair of pseudo-terminals in raw mode, which change no byte.
///
/// # Errors
///
/// Those of openpty(3) and tcsetattr(3).
pub fn raw_pair() -> std::io::Result<OpenptyResult> {
    let pair = openpty(None, None)?;
    let mut raw = tcgetattr(&pair.slave)?;
    cfmakeraw(&mut raw);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &raw)?;
    Ok(pair)
}

/// The two ends of a new terminal (pty(7)), the one for its owner first.
///
/// # Errors
///
/// Those of posix_openpt(3), and when this process may have no more terminals.
pub fn terminal_pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, slave))
}

/// Makes standard input the terminal of a new session, so that the kernel tells this process of new
/// sizes (ioctl_tty(2), `TIOCSCTTY`).
///
/// # Errors
///
/// When it is no terminal, or another session has it.
pub fn own_terminal() -> std::io::Result<()> {
    rustix::process::setsid()?;
    Ok(rustix::process::ioctl_tiocsctty(std::io::stdin())?)
}

/// Sets the size of a terminal; the kernel sends SIGWINCH to its foreground processes.
///
/// # Errors
///
/// Those of ioctl_tty(2).
pub fn set_terminal_size(terminal: impl AsFd, (rows, columns): (u16, u16)) -> std::io::Result<()> {
    let (ws_row, ws_col) = (rows, columns);
    let size = rustix::termios::Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}
