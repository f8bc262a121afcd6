//! Lab 01: watch the kernel cut one processor's time into slices.
//!
//! Write the four functions, in this order. `isolab lab check 01` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{io, process::ExitCode, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use time_slices::{Answer, Policy, Slice, Start};

/// Keeps the calling process on the processor `cpu` and off all others.
///
/// A `CpuSet` is a set of processors, empty at first; sched_setaffinity(2) takes it, and a process
/// number, where 0 means the caller. The kernel refuses a processor that is not there; its error is
/// returned.
fn pin(cpu: usize) -> nix::Result<()> {
    todo!("lab 1, step 1: a set with one processor in it, and one call")
}

/// Schedules the process `pid` round robin (`SCHED_RR`), with priority 1: in turn, for a fixed time,
/// before all normal ones. Returns the kernel's error if it refuses.
///
/// nix has no function for sched_setscheduler(2), so this calls the C library itself: any such call
/// is `unsafe`, because the compiler cannot check that the pointer is valid. It returns 0, or -1
/// when the kernel refuses; the reason is then in `io::Error::last_os_error()`.
fn round_robin(pid: u32) -> io::Result<()> {
    // 1 is the lowest of the real-time priorities.
    let parameters = libc::sched_param { sched_priority: 1 };
    todo!("lab 1, step 2: unsafe {{ libc::sched_setscheduler(..) }}, and look at what it returns")
}

/// Finds the periods in which a process ran, from its clock readings.
///
/// The process recorded the clock every 50 microseconds while it ran, and could not while it did
/// not. Interrupts delay a reading too, by 10 to 300 microseconds; but then nobody else had a turn. The
/// turns of the nine others delay it by 4 milliseconds or more.
///
/// Each reading belongs to exactly one slice, which begins with its first and ends with its last
/// reading. No readings are no slices.
fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    todo!("lab 1, step 3: a slice ends where the next reading is late by more than an interrupt")
}

/// Gets this process, one of ten, ready: pinned to the processor, with its policy set, and at the start line.
///
/// `SCHED_OTHER` (`Policy::Normal`) is what every process starts with. [`Start::wait`] sleeps until
/// all ten are there. Where one of the other two is refused, its error is returned, and the process
/// does not line up.
fn line_up(cpu: usize, policy: Policy, start: &Start) -> io::Result<()> {
    todo!("lab 1, step 4: three things, and their order matters")
}

fn main() -> ExitCode {
    time_slices::program(&Answer { pin, round_robin, find_slices, line_up })
}
