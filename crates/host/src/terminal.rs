//! The terminal: raw mode, its size, and pairs of pseudo-terminals.

use std::os::fd::AsFd;

use nix::{
    pty::{OpenptyResult, openpty},
    sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr},
};

/// The launcher's terminal in raw mode: every key is passed on, Ctrl-C too. Dropping this restores the
/// previous mode.
#[derive(Debug)]
pub struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Makes standard input raw; `None` when it is not a terminal.
    pub fn set() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // It fails only if the terminal is gone.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// Rows and columns of the launcher's terminal; those of a VT100 if they are unknown.
pub fn terminal_size() -> (u16, u16) {
    match rustix::termios::tcgetwinsize(std::io::stdin()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
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
