//! `SCHED_FIFO`: whoever has the processor keeps it until it sleeps. Nobody is served in turn.

use std::{io, process::ExitCode};

use solution::pin;
use time_slices::{Answer, Policy, Start};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn round_robin(pid: u32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads one `sched_param`, which lives on this stack until it returns.
    let returned = unsafe {
        libc::sched_setscheduler(pid.cast_signed(), libc::SCHED_FIFO, &raw const parameters)
    };
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn line_up(cpu: usize, policy: Policy, start: &Start) -> io::Result<()> {
    pin(cpu)?;
    if policy == Policy::RoundRobin {
        round_robin(std::process::id())?;
    }
    start.wait()
}

fn main() -> ExitCode {
    time_slices::program(&Answer { round_robin, line_up, ..solution::ANSWER })
}
