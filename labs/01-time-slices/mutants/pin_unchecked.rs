//! Nobody looks at what the call returns.

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
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    let _ = sched_setaffinity(Pid::from_raw(0), &cpus);
    Ok(())
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
