//! The whole line is taken for one number.

use std::{fs, io, process::ExitCode, time::Duration};

use nix::unistd::Pid;
use vcpu_threads::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn stolen_time(thread: Pid) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let waited = text.trim().parse().ok();
    waited.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { stolen_time, ..solution::ANSWER })
}
