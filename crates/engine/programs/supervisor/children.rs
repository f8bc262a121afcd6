//! The processes that end as children of this one.

use crate::{
    calls::{Descriptor, call},
    system::number,
};

/// A process that has ended, and is gone now.
#[derive(Clone, Copy)]
pub struct EndedProcess {
    pub pid: usize,
    /// Its wait status (wait(2)).
    pub status: i32,
}

impl EndedProcess {
    /// The exit code, or 128 and the number of the signal that killed it.
    pub fn code(self) -> u8 {
        match self.status & 0x7f {
            0 => (self.status >> 8) as u8,
            signal => 128 + signal as u8,
        }
    }
}

/// Reaps one child that has ended: this one, or any.
pub fn reap(child: Option<usize>) -> Option<EndedProcess> {
    const ANY: usize = usize::MAX;
    const WNOHANG: usize = 1;
    let mut status = 0i32;
    let arguments = [child.unwrap_or(ANY), &raw mut status as usize, WNOHANG, 0];
    let pid = call(number::WAIT4, arguments).ok().filter(|pid| *pid > 0)?;
    Some(EndedProcess { pid, status })
}

/// Takes the signals of children that have ended: one may stand for several.
pub fn take_signals(signals: &Descriptor) {
    const SIGNALFD_SIGINFO: usize = 128;
    let mut signal = [0; SIGNALFD_SIGINFO];
    while signals.read(&mut signal).is_ok() {}
}
