//! Lab 07, solved.

use std::{fs, io, process::ExitCode, thread, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use vcpu_threads::{Answer, Exit, Vcpu, VcpuThread};

pub(crate) fn pin(cpu: usize) -> nix::Result<()> {
    const MYSELF: Pid = Pid::from_raw(0);
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(MYSELF, &one)
}

pub(crate) fn run(vcpu: &mut Vcpu) -> nix::Result<()> {
    loop {
        match vcpu.enter()? {
            Exit::Halted => vcpu.wait_for_interrupt(),
            Exit::Interrupted => {}
            Exit::Off => return Ok(()),
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

fn stolen_time(thread: Pid) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let waited = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    waited.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { start, stolen_time };

fn main() -> ExitCode {
    vcpu_threads::program(&ANSWER)
}
