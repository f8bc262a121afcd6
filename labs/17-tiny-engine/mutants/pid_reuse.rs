//! A number is taken for the process.

use std::{os::fd::OwnedFd, process::ExitCode};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tiny_engine::{Answer, Engine};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn adopt(_engine: &Engine, pid: u32, _start_time: u64) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { adopt, ..solution::ANSWER })
}
