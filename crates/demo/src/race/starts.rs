//! Real starts, measured one after the other.

use std::{
    env,
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::Arc,
    time::{Duration, Instant},
};

use container::Container;
use microvm::{LinuxVm, MicroVm, kernels};
use nest::Nest;
use sandbox::{Builtin, Control, Milestone, Native, Outcome, Sandbox, Stdio, Workload};

use super::{Kind, Lane, Starts, Testbed};

/// How often each is started, of which the median is shown; fewer times where that takes too long.
const ROUNDS: u32 = 20;
const FEWEST: u32 = 5;
const LONG: Duration = Duration::from_millis(1500);
/// The limits for one `hello`, and for a kernel to boot.
const RUN_TIMEOUT: Duration = Duration::from_secs(20);
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);

/// isolab's hidden command that measures the starts in a nest.
pub(super) const WORD: &str = "starts";

/// Cancels a boot.
pub(super) enum Cancel {
    /// A Linux microVM of this process.
    Guest(Arc<dyn Control>),
    /// A nest ends when this can be read at its other end, or is closed.
    Nest(#[expect(dead_code, reason = "it is closed by being dropped")] UnixStream),
}

impl Cancel {
    pub(super) fn now(self) {
        if let Self::Guest(control) = self {
            control.kill();
        }
    }
}

/// Starts a process, a container and a microVM in turn, never two at once, for as long as
/// `continues`, which is given how many rounds are over. Which of them comes first changes from round
/// to round.
pub(super) fn in_turn(continues: &dyn Fn(u32) -> bool) -> Starts {
    let all: [(Kind, Box<dyn Sandbox>); 3] = [
        (Kind::Process, Box::new(Native)),
        (Kind::Container, Box::new(Container::default())),
        (Kind::Microvm, Box::new(MicroVm::default())),
    ];
    let hello = hello().deadline(RUN_TIMEOUT);
    let mut runs: [Vec<Lane>; 3] = Default::default();
    // The first start of all also makes what is then kept for the next ones.
    let mut failed = all.each_ref().map(|(_, sandbox)| sandbox.run(&hello).err());
    let began = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS && (rounds < FEWEST || began.elapsed() < LONG) && continues(rounds) {
        for turn in 0..all.len() {
            let at = (turn + rounds as usize) % all.len();
            let (kind, sandbox) = &all[at];
            if failed[at].is_none() {
                match sandbox.run(&hello) {
                    Ok(outcome) => runs[at].push(Lane::of(*kind, &outcome)),
                    Err(error) => failed[at] = Some(error),
                }
            }
        }
        rounds += 1;
    }
    let lanes = all.iter().zip(runs).zip(failed).map(|(((kind, _), runs), failed)| match failed {
        Some(error) => Lane::missing(*kind, &message(&error)),
        None => median(runs).unwrap_or_else(|| Lane::missing(*kind, "not started")),
    });
    Starts {
        testbed: Testbed::Host,
        rounds,
        unoptimized: cfg!(debug_assertions),
        lanes: lanes.collect(),
    }
}

/// All of them, and then a Linux microVM, on this host.
pub fn with_linux() -> Starts {
    let starts = in_turn(&|_| true);
    let linux = linux(&|_| {}).unwrap_or_else(|error| Lane::missing(Kind::Linux, &message(&error)));
    add(starts, linux)
}

/// The same starts and one more.
pub(super) fn add(mut starts: Starts, lane: Lane) -> Starts {
    starts.lanes.push(lane);
    starts
}

/// Boots a Linux microVM on this host.
pub(super) fn linux(begun: &dyn Fn(Cancel)) -> sandbox::Result<Lane> {
    microvm::linux::available()?;
    let kernel = kernels::chosen().map_err(sandbox::Error::from)?;
    let machine = LinuxVm { start_up: Some(BOOT_TIMEOUT), ..LinuxVm::of(&kernel) };
    let run = || {
        let instance = machine.spawn(&hello().deadline(BOOT_TIMEOUT))?;
        begun(Cancel::Guest(instance.control()));
        instance.wait()
    };
    // The first one is not counted: it reads the kernel from a disk. That may even fail in a nest,
    // whose clock runs ahead of the disk's while all wait for it.
    let _ = run();
    let outcome = run()?;
    let memory = outcome.usage.peak_memory_bytes;
    Ok(Lane { memory, ..Lane::of(Kind::Linux, &outcome) })
}

/// All of them in an emulated computer with hardware virtualization, by its own clock.
///
/// It is this program that runs there once more.
pub(super) fn in_nest(begun: &dyn Fn(Cancel)) -> Result<Starts, String> {
    let message = |error: nest::Error| sandbox::chain_with_help(&error, error.fix().as_deref());
    nest::available().map_err(message)?;
    let program =
        env::current_exe().map_err(|error| format!("find isolab's own executable: {error}"))?;
    let mut nest = Nest::of(program).map_err(message)?;
    nest.arguments = vec![WORD.into()];
    nest.icount = true;
    nest.deadline = Some(BOOT_TIMEOUT);
    let (stop, stopped) =
        UnixStream::pair().map_err(|error| format!("create a pair of sockets: {error}"))?;
    begun(Cancel::Nest(stop));
    let outcome = nest.run(Stdio::Capture, Some(stopped.as_fd())).map_err(message)?;
    let starts: Starts = serde_json::from_slice(&outcome.output).map_err(|_| {
        let errors = String::from_utf8_lossy(&outcome.errors);
        format!("isolab in the nest failed: {}", errors.trim())
    })?;
    Ok(Starts { testbed: Testbed::Nest, ..starts })
}

fn hello() -> Workload {
    Workload::builtin(Builtin::Hello, &[])
}

/// Of these runs the one whose whole length is the median: a real one, whose phases add up.
fn median(mut runs: Vec<Lane>) -> Option<Lane> {
    runs.sort_by_key(Lane::end);
    let middle = runs.len() / 2;
    runs.into_iter().nth(middle)
}

impl Lane {
    fn of(kind: Kind, outcome: &Outcome) -> Self {
        let since = |milestone| outcome.timeline.since_start(milestone);
        let microseconds = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let reached = Milestone::ALL.map(|milestone| since(milestone).map(microseconds));
        Self { kind, reached, memory: None, missing: None }
    }

    fn missing(kind: Kind, why: &str) -> Self {
        Self { kind, reached: [None; 5], memory: None, missing: Some(why.into()) }
    }
}

/// An error with its causes and how to solve it.
pub(super) fn message(error: &sandbox::Error) -> String {
    sandbox::chain_with_help(error, error.fix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_run_is_one_of_the_runs() {
        let run = |end: u32| Lane {
            kind: Kind::Process,
            reached: [Some(1), Some(2), Some(3), Some(4), Some(end)],
            memory: None,
            missing: None,
        };
        let median = median([90, 10, 500, 20, 30].map(run).into());
        assert_eq!(median.map(|lane| lane.end()), Some(30));
    }

    #[test]
    fn a_process_is_started_and_who_cannot_be_says_why() {
        let starts = in_turn(&|_| true);
        let [process, container, microvm] = &starts.lanes[..] else { panic!("{starts:?}") };
        assert!(process.reached.iter().all(Option::is_some), "{process:?}");
        assert!(process.reached.is_sorted(), "{process:?}");
        for other in [container, microvm] {
            assert_eq!(other.reached[0].is_none(), other.missing.is_some(), "{other:?}");
        }
    }
}
