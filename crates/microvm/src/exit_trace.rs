//! The VM exits of one processor, recorded one by one for a trace.

use std::time::Duration;

use sandbox::{Event, ExitReason, Question, TraceEntry, Workload, monotonic_now};

/// The most exits of a processor that a trace has.
const FIRST: usize = 100;
/// The most if every one was asked for: a guest must not fill the host's memory with them.
const ALL: usize = 1_000_000;

/// VM exits, each with the device that handled it and how long that took.
#[derive(Debug, Clone, Default)]
pub struct ExitTrace {
    most: usize,
    /// The exits.
    pub entries: Vec<TraceEntry>,
}

impl ExitTrace {
    /// A trace of as many exits as `workload` asks for.
    pub fn of(workload: &Workload) -> Self {
        let most = match (workload.trace, workload.every_exit) {
            (_, true) => ALL,
            (true, false) => FIRST,
            (false, false) => 0,
        };
        Self { most, entries: Vec::new() }
    }

    /// Whether any exit is recorded.
    pub fn enabled(&self) -> bool {
        self.most > 0
    }

    /// The time, if the exit that has just come is to be recorded.
    pub fn now(&self) -> Option<Duration> {
        (self.entries.len() < self.most).then(monotonic_now)
    }

    /// Records the exit that came at `began` and has been handled, by `device` if there was one.
    pub fn record(
        &mut self,
        began: Option<Duration>,
        reason: ExitReason,
        device: Option<&'static str>,
    ) {
        let Some(began) = began else { return };
        let took = monotonic_now().saturating_sub(began);
        let event = Event::VmExit { reason, device: device.map(Into::into) };
        self.entries.push(TraceEntry { question: Question::WayOut, event, began, took });
    }
}
