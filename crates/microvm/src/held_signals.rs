//! Signals that a monitor gets for the program in its guest.

use std::{io, process, sync::Arc, thread};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use sandbox::{Control, Trace};

use crate::cell::{self, Role};

/// The signals of this process, held until there is a guest to pass them on to.
#[derive(Debug)]
pub struct HeldSignals(SignalFd);

impl HeldSignals {
    /// Blocks all signals that are meant for the program. Before there are threads: they inherit this.
    ///
    /// # Errors
    ///
    /// Those of signalfd(2).
    pub fn hold() -> io::Result<Self> {
        let mut signals = SigSet::all();
        for own in [Signal::SIGCHLD, Signal::SIGTTIN, Signal::SIGTTOU] {
            signals.remove(own);
        }
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?))
    }

    /// Passes them on to the program inside, from a thread of its own. With a terminal the guest is
    /// told of its new size in another way.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn pass_on(self, control: Arc<dyn Control>, has_terminal: bool) -> io::Result<()> {
        const STACK: usize = 64 << 10;
        let thread = thread::Builder::new().name("signals".into()).stack_size(STACK);
        let pass = move || {
            if cell::enter(Role::Monitor, &mut Trace::default()).is_err() {
                return control.kill();
            }
            while let Ok(Some(signal)) = self.0.read_signal() {
                let number = signal.ssi_signo.cast_signed();
                // A write of this process to a pipe that nobody reads has failed already.
                let is_own = number == Signal::SIGPIPE as i32 && signal.ssi_pid == process::id();
                let is_size = number == Signal::SIGWINCH as i32 && has_terminal;
                if !is_own && !is_size {
                    control.signal(number);
                }
            }
        };
        thread.spawn(pass).map(drop)
    }
}
