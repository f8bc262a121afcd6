//! The third number: how often the thread has had a processor.

use std::{fs, io, process::ExitCode, time::Duration};

use nix::unistd::Pid;
use vcpu_threads::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn stolen_time(thread: Pid) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let waited = text.split_whitespace().nth(2).and_then(|word| word.parse().ok());
    waited.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { stolen_time, ..solution::ANSWER })
}
