//! Lab 01: CPU time slices. The part that leads the student's four functions: it starts the
//! processes, has them read the clock, and tells what `find_slices` made of the readings.

mod picture;
mod race;
mod trials;

use std::{io, process::ExitCode, time::Duration};

use lab::program::run;
use nix::unistd::{ForkResult, fork};

pub use race::Start;

/// How many processes share the processor: the textbook's ten.
pub const EQUALS: usize = 10;

/// How the kernel serves those who want the same processor (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// `SCHED_OTHER`, which every process has from its birth: who has had least is the next.
    Normal,
    /// `SCHED_RR`: in turn, each for a fixed time.
    RoundRobin,
}

/// A stretch in which a process had the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The first reading of the clock in it.
    pub begin: Duration,
    /// The last one.
    pub end: Duration,
}

/// The student's functions.
pub struct Answer {
    /// Keeps the caller on one processor.
    pub pin: fn(usize) -> nix::Result<()>,
    /// Has a process served in turn.
    pub round_robin: fn(u32) -> io::Result<()>,
    /// Finds when a process ran.
    pub find_slices: fn(&[Duration]) -> Vec<Slice>,
    /// Gets one of the ten ready to start.
    pub line_up: fn(usize, Policy, &Start) -> io::Result<()>,
}

/// The program: one process tries the first steps, then ten share a processor, twice.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let cpu = host.number("cpu", 0) as usize;
        let served = trials::alone(host, answer, cpu)?;
        trials::drill(host, answer);
        let normal = Duration::from_millis(host.number("normal", 800));
        race::run(host, answer, (cpu, Policy::Normal, normal))?;
        if served {
            let in_turn = Duration::from_millis(host.number("in-turn", 1100));
            race::run(host, answer, (cpu, Policy::RoundRobin, in_turn))?;
        }
        if host.is_checked() {
            trials::refused(host, answer, ("refused", cpu, Policy::RoundRobin))?;
            let nowhere = host.number("nowhere", 1023) as usize;
            trials::refused(host, answer, ("refused-nowhere", nowhere, Policy::Normal))?;
        }
        Ok(())
    })
}

/// `begin-end` of each in microseconds, as many as go into a line.
fn in_words(slices: &[Slice]) -> String {
    let words = slices.iter().take(400).map(|slice| {
        let (begin, end) = (slice.begin.as_micros(), slice.end.as_micros());
        format!("{begin}-{end}")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A new process that does `inside` and ends with what that returns.
fn child(inside: impl FnOnce() -> i32) -> nix::Result<nix::unistd::Pid> {
    // SAFETY: this program has a single thread, so the child may do whatever it could do.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(inside));
            std::process::exit(done.unwrap_or(1))
        }
    }
}
