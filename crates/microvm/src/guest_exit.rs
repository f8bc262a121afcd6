//! How a guest comes to its end.

use crate::fault::Fault;

/// How a guest came to its end.
#[derive(Debug)]
pub enum GuestExit {
    /// It said so, with this code.
    Exited(u8),
    /// A signal from outside, or a closed output, ended it as it would a process.
    Signaled(i32),
    /// Its deadline had passed.
    Deadline,
    /// It did not start up in the time that it had for that.
    NeverStartedUp,
    /// Its captured output passed the bound.
    TooMuchOutput,
    /// No end: it is stopped where it said that it may be, and can go on from there.
    Frozen,
    /// It turned its machine off.
    PowerOff,
    /// It started its machine anew.
    Reset,
    /// All of its processors halted with interrupts off: nothing can wake them.
    Halted,
    /// It did what no program may.
    Fault(Fault),
}
