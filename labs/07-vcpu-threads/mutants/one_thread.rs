//! One thread for all: it runs the first virtual CPU, and the others when that ends.

use std::{io, process::ExitCode, thread};

use solution::{pin, run};
use vcpu_threads::{Answer, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(vcpus: Vec<Vcpu>, cpu: usize) -> io::Result<Vec<VcpuThread>> {
    let thread = thread::Builder::new().name("vcpus".to_owned());
    let thread = thread.spawn(move || {
        pin(cpu)?;
        vcpus.into_iter().try_for_each(|mut vcpu| run(&mut vcpu))
    })?;
    Ok(vec![thread])
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, ..solution::ANSWER })
}
