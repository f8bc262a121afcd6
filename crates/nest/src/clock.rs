//! The rate of the emulated computer's time stamp counter.
//!
//! A kernel measures it against the PIT. On a busy host the emulated timer lags too far behind: the
//! kernel then marks the counter as unstable or measures a wrong rate, and the guests of its KVM
//! wait for timers that never fire. So the kernel is given the rate: QEMU passes the host's counter
//! through or, with a clock that counts instructions, adds one tick per instruction.

use sandbox::{Builtin, Native, Sandbox as _, Workload};

/// One tick for each instruction, a nanosecond each.
const COUNTED: u64 = 1_000_000;
/// Long enough to be measured well, some hundredths of a second.
const ITERATIONS: u64 = 50_000_000;

/// Ticks per millisecond; `None` if that could not be measured, and then the kernel measures it.
pub(crate) fn rate(icount: bool) -> Option<u64> {
    if icount {
        return Some(COUNTED);
    }
    let spin = Workload::builtin(Builtin::Spin, &[ITERATIONS]);
    let rate = Native.run(&spin).ok()?.report?.tick_rate()?;
    Some((rate / 1e3).round() as u64)
}
