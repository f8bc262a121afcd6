//! Signals to a runtime that waits in the foreground are meant for the container.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    process,
    sync::Arc,
    thread,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use sandbox::Control;

use crate::error::{Result, file};

/// Signals that are held back until they are passed on: none ends the runtime and leaves its container
/// behind.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Holds them back; programs of the container begin with none blocked.
    pub(crate) fn block() -> Result<Self> {
        let mut signals = SigSet::all();
        for own in [Signal::SIGCHLD, Signal::SIGTTIN, Signal::SIGTTOU] {
            signals.remove(own);
        }
        let blocked = signals
            .thread_block()
            .and_then(|()| SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC));
        Ok(Self(blocked.map_err(|errno| file("hold back", "signals")(errno.into()))?))
    }

    /// Passes them on as long as this process lives. A terminal of the container's own learns its size
    /// by itself.
    pub(crate) fn pass_to(self, control: Arc<dyn Control>, has_terminal: bool) {
        thread::spawn(move || while self.pass_one(&*control, has_terminal) {});
    }

    /// Passes them on until `end` can be read. A thread of its own would cost a short program a tenth
    /// of its time.
    pub(crate) fn pass_until(&self, end: BorrowedFd<'_>, control: &dyn Control) {
        loop {
            let mut watched = [end, self.0.as_fd()].map(|it| PollFd::new(it, PollFlags::POLLIN));
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                // Whoever waits for the end says what is wrong.
                Err(_) => return,
                Ok(_) => {}
            }
            let [ended, signalled] = watched.map(|it| it.any() == Some(true));
            if ended || (signalled && !self.pass_one(control, false)) {
                return;
            }
        }
    }

    /// Waits for a signal and passes it on; false if there will be no more.
    fn pass_one(&self, control: &dyn Control, has_terminal: bool) -> bool {
        let Ok(Some(signal)) = self.0.read_signal() else { return false };
        let number = signal.ssi_signo.cast_signed();
        let by_own_write = number == Signal::SIGPIPE as i32 && signal.ssi_pid == process::id();
        let of_own_size = number == Signal::SIGWINCH as i32 && has_terminal;
        if !by_own_write && !of_own_size {
            control.signal(number);
        }
        true
    }
}
