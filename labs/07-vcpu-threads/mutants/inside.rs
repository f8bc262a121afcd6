//! The time is taken by a clock that goes only while the thread runs, as the guest's own would: by
//! it nothing is ever missing.

use std::{fs, io, process::ExitCode, thread, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use vcpu_threads::{Answer, Exit, Vcpu, VcpuThread};

fn pin(cpu: usize) -> nix::Result<()> {
    const MYSELF: Pid = Pid::from_raw(0);
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(MYSELF, &one)
}

fn run(vcpu: &mut Vcpu) -> nix::Result<()> {
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
    // clock_getcpuclockid(3) of a thread: its number, inverted, and the kind of clock.
    let clock = ClockId::from_raw((!thread.as_raw() << 3) | 6);
    let inside = Duration::from(clock_gettime(clock)?);
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let ran = text.split_whitespace().next().and_then(|word| word.parse().ok());
    let ran = ran.map(Duration::from_nanos).ok_or(io::ErrorKind::InvalidData)?;
    Ok(inside.saturating_sub(ran))
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, stolen_time })
}
