//! A set with nothing in it.

use std::{io, process::ExitCode, thread};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use solution::run;
use vcpu_threads::{Answer, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn pin(_cpu: usize) -> nix::Result<()> {
    const MYSELF: Pid = Pid::from_raw(0);
    let one = CpuSet::new();
    sched_setaffinity(MYSELF, &one)
}

fn start(vcpus: Vec<Vcpu>, cpu: usize) -> io::Result<Vec<VcpuThread>> {
    let start_one = |mut vcpu: Vcpu| {
        let thread = thread::Builder::new().name(format!("vcpu{}", vcpu.number()));
        thread.spawn(move || {
            pin(cpu)?;
            run(&mut vcpu)
        })
    };
    vcpus.into_iter().map(start_one).collect()
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, ..solution::ANSWER })
}
