//! A signal is taken for the end.

use std::{io, process::ExitCode, thread};

use solution::pin;
use vcpu_threads::{Answer, Exit, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn run(vcpu: &mut Vcpu) -> nix::Result<()> {
    loop {
        match vcpu.enter()? {
            Exit::Halted => vcpu.wait_for_interrupt(),
            Exit::Interrupted | Exit::Off => return Ok(()),
        }
    }
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
