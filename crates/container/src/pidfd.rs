//! Descriptors of processes (pidfd_open(2)): a signal sent by one reaches that very process, never
//! a later one with the same number.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use sandbox::Process;

use crate::sys;

/// A descriptor of that very process; `None` if it has ended.
pub(crate) fn open(process: &Process) -> Option<OwnedFd> {
    let arguments = [process.pid as usize, 0, 0, 0, 0, 0];
    // SAFETY: pidfd_open takes numbers.
    let descriptor = unsafe { sys::call(libc::SYS_pidfd_open, arguments) }.ok()?;
    // SAFETY: the call has just made this descriptor.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor as i32) };
    process.is_alive().then_some(descriptor)
}

/// Sends `signal` to the process.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: i32) {
    let arguments = [pidfd.as_raw_fd() as usize, signal as usize, 0, 0, 0, 0];
    // SAFETY: the call takes numbers and a null pointer. It fails only for a process that has
    // ended, or a number that is not a signal: then there is nothing to do.
    let _ = unsafe { sys::call(libc::SYS_pidfd_send_signal, arguments) };
}

/// Kills that very process, if it is still alive.
pub(crate) fn kill(process: &Process) {
    if let Some(pidfd) = open(process) {
        signal(pidfd.as_fd(), libc::SIGKILL);
    }
}
