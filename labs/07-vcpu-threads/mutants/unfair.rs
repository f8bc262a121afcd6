//! One of them is nicer than the others.

use std::{io, process::ExitCode, thread};

use solution::{pin, run};
use vcpu_threads::{Answer, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(vcpus: Vec<Vcpu>, cpu: usize) -> io::Result<Vec<VcpuThread>> {
    let start_one = |mut vcpu: Vcpu| {
        let thread = thread::Builder::new().name(format!("vcpu{}", vcpu.number()));
        thread.spawn(move || {
            pin(cpu)?;
            if vcpu.number() == 0 {
                // SAFETY: the call changes a number that the kernel keeps of this thread.
                unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
            }
            run(&mut vcpu)
        })
    };
    vcpus.into_iter().map(start_one).collect()
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, ..solution::ANSWER })
}
