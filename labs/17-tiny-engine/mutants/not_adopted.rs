//! Who is not a child is taken for gone.

use std::{fs, os::fd::OwnedFd, process::ExitCode};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tiny_engine::{Answer, Engine};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn adopt(engine: &Engine, pid: u32, start_time: u64) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
    let parent = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let own = parent.contains(&format!("PPid:\t{}\n", std::process::id()));
    (own && engine.start_time(pid).ok()? == start_time).then_some(process)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { adopt, ..solution::ANSWER })
}
