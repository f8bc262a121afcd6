//! From the first reading to the last: that is the time on the wall, not that of the processor.

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

fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    match readings {
        [] => Vec::new(),
        [begin, ..] => vec![Slice { begin: *begin, end: readings[readings.len() - 1] }],
    }
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
