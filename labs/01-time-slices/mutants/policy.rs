//! A real-time priority without the policy that goes with it: the error that the kernel gives is
//! not looked at.

use std::{io, process::ExitCode, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use time_slices::{Answer, Policy, Slice, Start};

fn round_robin(pid: u32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads one `sched_param`, which lives on this stack until it returns.
    unsafe {
        libc::sched_setscheduler(pid.cast_signed(), libc::SCHED_OTHER, &raw const parameters);
    }
    Ok(())
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)
}

/// Longer than an interrupt takes, shorter than the turns of nine others.
const GAP: Duration = Duration::from_millis(1);

fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for &reading in readings {
        match slices.last_mut() {
            Some(slice) if reading - slice.end < GAP => slice.end = reading,
            _ => slices.push(Slice { begin: reading, end: reading }),
        }
    }
    slices
}

fn line_up(cpu: usize, policy: Policy, start: &Start) -> io::Result<()> {
    pin(cpu)?;
    if policy == Policy::RoundRobin {
        round_robin(std::process::id())?;
    }
    start.wait()
}

fn main() -> ExitCode {
    time_slices::program(&Answer { pin, round_robin, find_slices, line_up })
}
