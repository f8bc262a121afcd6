//! Waiting and running together: all the time in which it was not asleep.

use std::{fs, io, process::ExitCode, time::Duration};

use nix::unistd::Pid;
use vcpu_threads::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn stolen_time(thread: Pid) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let numbers = text.split_whitespace().take(2).map_while(|word| word.parse::<u64>().ok());
    let waited = Some(numbers.sum());
    waited.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { stolen_time, ..solution::ANSWER })
}
