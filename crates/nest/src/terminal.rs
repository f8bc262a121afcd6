//! The caller's terminal, while it is the computer's console.
//!
//! See `container::terminal` for a terminal of a container. There both ends are this kernel's;
//! here the other end is a serial line, with Linux's own terminal behind it.

use std::io;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::{Error, Result};

/// The rows and columns of the caller's terminal.
pub(crate) fn size() -> (u16, u16) {
    const USUAL: (u16, u16) = (24, 80);
    rustix::termios::tcgetwinsize(io::stdin())
        .map_or(USUAL, |size| (size.ws_row.max(1), size.ws_col.max(1)))
}

/// The caller's terminal in raw mode, in which every key goes through, Ctrl-C too; dropping it
/// restores the mode before.
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    pub(crate) fn set() -> Result<Self> {
        let before = tcgetattr(io::stdin()).map_err(|_| Error::NoTerminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).map_err(|_| Error::NoTerminal)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It fails only if the terminal is gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
