//! How fast the time stamp counter of the computer goes.
//!
//! A kernel measures that against the timer of an AT. On a busy host the emulated timer is too far
//! behind for it: the kernel then calls the counter unstable or takes a wrong rate for right, and
//! the guests of its KVM wait for timers that never come. So it is told: QEMU gives out the counter
//! of the host, or with a clock that counts instructions, one tick for each.

use sandbox::{Builtin, Native, Sandbox as _, Workload};

/// One tick for each instruction, a nanosecond each.
const COUNTED: u64 = 1_000_000;
/// Long enough to be measured well, some hundredths of a second.
const ITERATIONS: u64 = 50_000_000;

/// Ticks in a millisecond; `None` if it could not be found out, and then the kernel may try.
pub(crate) fn rate(icount: bool) -> Option<u64> {
    if icount {
        return Some(COUNTED);
    }
    let spin = Workload::builtin(Builtin::Spin, &[ITERATIONS]);
    let rate = Native.run(&spin).ok()?.report?.tick_rate()?;
    Some((rate / 1e3).round() as u64)
}
