//! Every late reading ends a slice, so each interrupt makes two of one.

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

/// A little longer than it takes from one reading to the next.
const GAP: Duration = Duration::from_micros(80);

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
