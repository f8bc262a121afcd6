//! A thread for each, but on whatever CPU the kernel likes.
//!
//! Not in the nest: it has one processor, to which all are pinned.

use std::{io, process::ExitCode, thread};

use solution::run;
use vcpu_threads::{Answer, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(vcpus: Vec<Vcpu>, _cpu: usize) -> io::Result<Vec<VcpuThread>> {
    let start_one = |mut vcpu: Vcpu| {
        let thread = thread::Builder::new().name(format!("vcpu{}", vcpu.number()));
        thread.spawn(move || run(&mut vcpu))
    };
    vcpus.into_iter().map(start_one).collect()
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, ..solution::ANSWER })
}
