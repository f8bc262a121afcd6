//! The three standard descriptors, as every program expects them: open, and waiting.
//!
//! Whoever shares an open file can make it non-blocking for all (open(2), "Open file descriptions"):
//! ssh, node and many a shell prompt do so to terminals and pipes. Most programs lose what they write
//! then. So isolab opens a pipe or a terminal that is non-blocking once more, for itself and for
//! whatever it runs, and leaves the other's as it is.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::stat::{Mode, SFlag, fstat},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

/// Whether the other end of a connection is closed (unix(7)).
pub fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Makes them so, as far as that is possible: a socket cannot be opened once more, and neither can
/// what belongs to another user.
pub fn prepare() {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    for standard in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        match fcntl(standard, FcntlArg::F_GETFL).map(OFlag::from_bits_retain) {
            Err(Errno::EBADF) => take_its_place(),
            Ok(flags) if flags.contains(OFlag::O_NONBLOCK) => {
                if let Some(waiting) = open_again(standard, flags) {
                    let _ = replace(standard, &waiting); // it stays as it was then
                }
            }
            _ => {}
        }
    }
}

/// A file that is opened where one of the three is closed would be read or written as that one:
/// /dev/null takes its place.
fn take_its_place() {
    if let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
        let _ = null.into_raw_fd(); // the lowest that is free: this one
    }
}

/// The same pipe or terminal, opened again, and waiting.
fn open_again(standard: BorrowedFd<'_>, flags: OFlag) -> Option<OwnedFd> {
    let kind = SFlag::from_bits_truncate(fstat(standard).ok()?.st_mode) & SFlag::S_IFMT;
    // A file never waits, and has a place in it that is shared.
    if kind != SFlag::S_IFIFO && kind != SFlag::S_IFCHR {
        return None;
    }
    let kept = flags & (OFlag::O_ACCMODE | OFlag::O_APPEND);
    let path = format!("/proc/self/fd/{}", standard.as_raw_fd());
    // Non-blocking at first: else it would wait here for the other end of a pipe (fifo(7)).
    let opening = kept | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = open(path.as_str(), opening, Mode::empty()).ok()?;
    fcntl(&opened, FcntlArg::F_SETFL(kept)).ok()?;
    Some(opened)
}

fn replace(standard: BorrowedFd<'_>, by: &OwnedFd) -> nix::Result<()> {
    match standard.as_raw_fd() {
        0 => dup2_stdin(by),
        1 => dup2_stdout(by),
        _ => dup2_stderr(by),
    }
}
