//! A set with nothing in it.

use std::{io, process::ExitCode};

use container::scheduling::round_robin;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use time_slices::{Answer, Policy, Start};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pin(cpu: usize) -> nix::Result<()> {
    let cpus = CpuSet::new();
    let _ = cpu;
    sched_setaffinity(Pid::from_raw(0), &cpus)
}

fn line_up(cpu: usize, policy: Policy, start: &Start) -> io::Result<()> {
    pin(cpu)?;
    if policy == Policy::RoundRobin {
        round_robin(std::process::id())?;
    }
    start.wait()
}

fn main() -> ExitCode {
    time_slices::program(&Answer { pin, line_up, ..solution::ANSWER })
}
