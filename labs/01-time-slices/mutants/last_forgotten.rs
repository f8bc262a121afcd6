//! A slice is written down where the next one begins, so the last one never is.

use std::{io, process::ExitCode, time::Duration};

use container::scheduling::round_robin;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use time_slices::{Answer, Policy, Slice, Start};

fn pin(cpu: usize) -> nix::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)
}

/// Longer than an interrupt takes, shorter than the turns of nine others.
const GAP: Duration = Duration::from_millis(1);

fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    let mut slices = Vec::new();
    let Some(&(mut begin)) = readings.first() else { return slices };
    for pair in readings.windows(2) {
        if pair[1] - pair[0] > GAP {
            slices.push(Slice { begin, end: pair[0] });
            begin = pair[1];
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
