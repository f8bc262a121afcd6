//! Threads without names: all are called as the program.

use std::{io, process::ExitCode, thread};

use solution::{pin, run};
use vcpu_threads::{Answer, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(vcpus: Vec<Vcpu>, cpu: usize) -> io::Result<Vec<VcpuThread>> {
    let start_one = |mut vcpu: Vcpu| {
        let thread = thread::Builder::new();
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
