//! Lab 07: give every virtual CPU a thread, let them share one CPU, and measure what that costs.
//!
//! Write the four functions. `isolab lab check 07` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{fs, io, process::ExitCode, thread, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use vcpu_threads::{Answer, Exit, Vcpu, VcpuThread};

/// Gives each virtual CPU a thread of its own, in which it is [`run`], pinned to the host's `cpu`.
///
/// The closure that the thread gets must own its `Vcpu`: `move`. Name the threads (`vcpu0`, ...),
/// so that `top -H` shows which is which. Returns the handle of each, by which it is waited for.
fn start(vcpus: Vec<Vcpu>, cpu: usize) -> io::Result<Vec<VcpuThread>> {
    todo!("lab 7, step 1: thread::Builder::new().name(...).spawn(...) for each")
}

/// Lets the calling thread run on the host's `cpu` only (sched_setaffinity(2)).
fn pin(cpu: usize) -> nix::Result<()> {
    const MYSELF: Pid = Pid::from_raw(0);
    todo!("lab 7, step 2: a CpuSet of one CPU")
}

/// Runs a virtual CPU until the guest turns it off.
///
/// `enter` also returns when the guest halts; then there is nothing to do until an interrupt
/// arrives, so its thread must sleep.
fn run(vcpu: &mut Vcpu) -> nix::Result<()> {
    todo!("lab 7, step 3: loop {{ match vcpu.enter()? {{ ... }} }}")
}

/// How long `thread`, one of this process, was ready to run while another one had its CPU.
///
/// The kernel counts it: the second number in `/proc/self/task/TID/schedstat`, in nanoseconds.
fn stolen_time(thread: Pid) -> io::Result<Duration> {
    todo!("lab 7, step 4: fs::read_to_string, split_whitespace, Duration::from_nanos")
}

fn main() -> ExitCode {
    vcpu_threads::program(&Answer { start, stolen_time })
}
