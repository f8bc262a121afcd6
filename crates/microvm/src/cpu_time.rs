//! CPU time of the calling thread.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time that the calling thread has taken so far, that of a guest in `KVM_RUN` in it.
pub(crate) fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
