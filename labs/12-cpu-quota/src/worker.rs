//! The process that a group is for.

use std::time::Duration;

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill, raise},
        wait::{WaitPidFlag, waitpid},
    },
    time::{ClockId, clock_gettime},
    unistd::{ForkResult, Pid, fork},
};

/// A process that computes whenever it is let, and ends with its owner.
pub(crate) struct Worker(pub(crate) Pid);

impl Worker {
    /// Makes one that stands still; let go, it stops once by itself after so much CPU time, unless
    /// that is nothing.
    pub(crate) fn start(first: Duration) -> nix::Result<Self> {
        // SAFETY: this process has a single thread, so the child may do whatever it could do.
        match unsafe { fork() }? {
            ForkResult::Child => match compute(first) {
                Err(errno) => std::process::exit(errno as i32),
                Ok(never) => match never {},
            },
            ForkResult::Parent { child } => {
                let worker = Self(child);
                worker.wait_until_stopped()?;
                Ok(worker)
            }
        }
    }

    /// To the last CPU that there is; the first is the busiest on many machines.
    pub(crate) fn pin(&self) -> nix::Result<()> {
        let all = sched_getaffinity(self.0)?;
        let has = |cpu: &usize| all.is_set(*cpu).unwrap_or(false);
        let last = (0..CpuSet::count()).rev().find(has).unwrap_or(0);
        let mut one = CpuSet::new();
        one.set(last)?;
        sched_setaffinity(self.0, &one)
    }

    pub(crate) fn go(&self) -> nix::Result<()> {
        kill(self.0, Signal::SIGCONT)
    }

    pub(crate) fn halt(&self) -> nix::Result<()> {
        kill(self.0, Signal::SIGSTOP)?;
        self.wait_until_stopped()
    }

    pub(crate) fn run_until_it_stops(&self) -> nix::Result<()> {
        self.go()?;
        self.wait_until_stopped()
    }

    fn wait_until_stopped(&self) -> nix::Result<()> {
        waitpid(self.0, Some(WaitPidFlag::WUNTRACED)).map(drop)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is this process's child and not buried yet, so nobody else has its number.
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

fn compute(first: Duration) -> nix::Result<std::convert::Infallible> {
    set_pdeathsig(Signal::SIGKILL)?;
    raise(Signal::SIGSTOP)?;
    if !first.is_zero() {
        while Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?) < first {}
        raise(Signal::SIGSTOP)?;
    }
    loop {
        std::hint::spin_loop();
    }
}
