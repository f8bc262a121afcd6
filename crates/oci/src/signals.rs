//! Signals to a runtime that waits in the foreground are meant for the container.

use std::{process, sync::Arc, thread};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
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
        thread::spawn(move || {
            while let Ok(Some(signal)) = self.0.read_signal() {
                let number = signal.ssi_signo.cast_signed();
                let by_own_write =
                    number == Signal::SIGPIPE as i32 && signal.ssi_pid == process::id();
                let of_own_size = number == Signal::SIGWINCH as i32 && has_terminal;
                if !by_own_write && !of_own_size {
                    control.signal(number);
                }
            }
        });
    }
}
