//! All time in which a thread did not run is counted: that in which it slept, too.

use std::{
    fs, io,
    process::ExitCode,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use solution::{pin, run};
use vcpu_threads::{Answer, Vcpu, VcpuThread};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

static STARTED: OnceLock<Instant> = OnceLock::new();

fn start(vcpus: Vec<Vcpu>, cpu: usize) -> io::Result<Vec<VcpuThread>> {
    STARTED.get_or_init(Instant::now);
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
    let ran = text.split_whitespace().next().and_then(|word| word.parse().ok());
    let ran = ran.map(Duration::from_nanos).ok_or(io::ErrorKind::InvalidData)?;
    Ok(STARTED.get_or_init(Instant::now).elapsed().saturating_sub(ran))
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, stolen_time })
}
