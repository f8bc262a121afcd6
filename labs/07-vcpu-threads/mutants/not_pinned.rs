//! A thread for each, but on whatever CPU the kernel likes.
//!
//! Not in the nest: it has one processor, to which all are pinned.

use std::{fs, io, process::ExitCode, thread, time::Duration};

use nix::unistd::Pid;
use vcpu_threads::{Answer, Exit, Vcpu, VcpuThread};

fn run(vcpu: &mut Vcpu) -> nix::Result<()> {
    loop {
        match vcpu.enter()? {
            Exit::Halted => vcpu.wait_for_interrupt(),
            Exit::Interrupted => {}
            Exit::Off => return Ok(()),
        }
    }
}

fn start(vcpus: Vec<Vcpu>, _cpu: usize) -> io::Result<Vec<VcpuThread>> {
    let start_one = |mut vcpu: Vcpu| {
        let thread = thread::Builder::new().name(format!("vcpu{}", vcpu.number()));
        thread.spawn(move || run(&mut vcpu))
    };
    vcpus.into_iter().map(start_one).collect()
}

fn stolen_time(thread: Pid) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let waited = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    waited.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, stolen_time })
}
